package token_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
)

// FuzzParseClaims: whatever somebody writes as claims is refused, or signed as it was read beside what Keyturn sets, which it does not
// change, in a token that is read.
func FuzzParseClaims(f *testing.F) {
	for _, seed := range []string{
		`{"a":1.0,"b":1e400,"c":-0,"d":[null,{"iss":1}]}`, `{"a":1,"a":2}`, `{"\u017fub":1}`, `{"\u0069ss":1}`, `{"\ud800":"\udfff","":"<&>\u2028"}`, `null`, "", "{}{}",
		`{"scope":1,"client_id":["a"],"act":{"sub":"a","sub":"b"}}`, `{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, "{\"\xff\":1}",
	} {
		f.Add([]byte(seed))
	}
	key, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		f.Fatal(err)
	}
	issued := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, raw []byte) {
		claims, err := token.ParseClaims(raw)
		if err != nil {
			return
		}
		asked := token.Request{
			Issuer: "https://issuer.example", Subject: "till", Audiences: []string{"a"}, Type: token.TypeAccessToken, Claims: claims, Duration: time.Hour,
		}
		encoded, err := token.Encode(asked.Payload("one", issued))
		if err != nil {
			t.Fatalf("claims that were read cannot be encoded: %v", err)
		}
		signed, err := jose.Sign(key, asked.Type, encoded)
		if err != nil {
			t.Fatalf("claims that were read cannot be signed: %v", err)
		}
		read, err := jose.Verify(signed.Reveal(), jose.NewKeySet(key.Public()))
		if err != nil {
			t.Fatal(err)
		}
		if read.Issuer != asked.Issuer || read.Subject != asked.Subject || read.ID != "one" || !read.Expiry.Equal(issued.Add(time.Hour)) {
			t.Errorf("the token says %+v", read)
		}
		further := map[string]json.RawMessage{}
		if err := json.Unmarshal(read.Claims, &further); err != nil {
			t.Fatal(err)
		}
		for _, name := range append(token.RegisteredClaims(), "client_id") {
			if _, given := claims[name]; !given {
				delete(further, name)
			}
		}
		left, err := json.Marshal(further)
		if err != nil {
			t.Fatal(err)
		}
		again, err := token.ParseClaims(left)
		if len(left) > token.MaxClaimsBytes { // Escaping has made them longer.
			return
		}
		if err != nil || !reflect.DeepEqual(claims, again) {
			t.Errorf("error %v, claims %v, signed were %v", err, claims, again)
		}
	})
}
