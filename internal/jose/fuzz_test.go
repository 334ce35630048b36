package jose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
)

func addTokens(f *testing.F) {
	f.Helper()
	key := keys()[jose.EdDSA]
	good := sign(f, key, someClaims)
	f.Add(good)
	f.Add(sign(f, keys()[jose.ES512], `{"exp":1.5e9,"aud":"a"}`))
	f.Add(forge(f, key, `{"alg":"EdDSA","kid":"a","crit":["b64"],"b64":false}`, `{}`))
	f.Add(forge(f, key, `{"alg":"none","kid":"a"}`, `{"a":{"b":[1,{"c":"\u0064"}],"b":2}}`))
	f.Add(strings.TrimRight(good, "."))
	f.Add("..")
	for _, vector := range published().Signatures {
		f.Add(vector.Input + "." + vector.Signature)
	}
	for _, vector := range published().Refused {
		f.Add(vector.Token)
	}
}

func FuzzParse(f *testing.F) {
	addTokens(f)
	f.Fuzz(func(t *testing.T, compact string) {
		token, err := jose.Parse(compact)
		if err != nil {
			mustNotQuote(t, err, compact+decodedParts(compact))
			return
		}
		if token.KeyID == "" || token.Algorithm == "" {
			t.Errorf("a token without kid or alg is read: %+v", token)
		}
		var claims map[string]any
		if err := json.Unmarshal(token.Claims, &claims); err != nil || claims == nil {
			t.Errorf("claims that are no JSON object are read: %v", err)
		}
		for name, year := range map[string]int{"exp": token.Expiry.Year(), "iat": token.IssuedAt.Year(), "nbf": token.NotBefore.Year()} {
			if _, present := claims[name]; present && (year < 1970 || year > 9999) {
				t.Errorf("%s is in the year %d", name, year)
			}
		}
		if parts := strings.Split(compact, "."); b64(decodedParts(parts[1])) != parts[1] || b64(decodedParts(parts[2])) != parts[2] {
			t.Error("a part that is not canonical is read")
		}
	})
}

// FuzzVerify reads any token, and the same signed anew: what is verified was signed by a key of the set, by package crypto's own judgement.
func FuzzVerify(f *testing.F) {
	addTokens(f)
	set, signer := allKeys(), keys()[jose.EdDSA]
	f.Fuzz(func(t *testing.T, compact string) {
		mustBeSound(t, compact, set)
		// What only the signature refuses is where a fuzzer ends.
		if parts := strings.Split(compact, "."); len(parts) == 3 {
			header := strings.ReplaceAll(decodedParts(parts[0]), `"a"`, `"`+signer.ID()+`"`)
			mustBeSound(t, forge(t, signer, header, decodedParts(parts[1])), set)
		}
	})
}

func mustBeSound(t *testing.T, compact string, set jose.KeySet) {
	t.Helper()
	token, err := jose.Verify(compact, set)
	if err != nil {
		mustNotQuote(t, err, compact+decodedParts(compact))
		return
	}
	key, found := set.Lookup(token.KeyID)
	if !found || key.Algorithm() != token.Algorithm {
		t.Fatalf("verified by a key that is not in the set, or not for %s", token.Algorithm)
	}
	parsed, err := jose.Parse(compact)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parsed, token); diff != "" {
		t.Errorf("Parse and Verify differ:\n%s", diff)
	}
	dot := strings.LastIndexByte(compact, '.')
	if !plainVerify(token.Algorithm, fromPEM(t, keys()[token.Algorithm]).Public(), compact[:dot], decodedParts(compact[dot+1:])) {
		t.Error("verified without a true signature")
	}
}

func FuzzParseKeySet(f *testing.F) {
	for _, set := range []jose.KeySet{{}, allKeys(), jose.NewKeySet(publicKeys(jose.RS256)...)} {
		encoded, err := set.JSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA","alg":"HS256","kid":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := jose.ParseKeySet(data)
		if err != nil {
			mustNotQuote(t, err, string(data))
			return
		}
		encoded, err := set.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := jose.ParseKeySet(encoded)
		if err != nil {
			t.Fatalf("a set that was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(ids(set), ids(again)); diff != "" {
			t.Errorf("key IDs differ:\n%s", diff)
		}
		if second, err := again.JSON(); err != nil || string(second) != string(encoded) {
			t.Errorf("what was written is written otherwise, once it was read: %s, then %s (%v)", encoded, second, err)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.ES512, jose.EdDSA} {
		f.Add(encode(f, privateMembers(f, keys()[alg])))
	}
	f.Add(encode(f, rsaMembers("PS256")))
	f.Add(encode(f, with(rsaMembers("RS256"), "p", "AQ", "q", "", "e", "")))
	f.Add(encode(f, publicMembers(f, keys()[jose.EdDSA].Public())))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := jose.ParsePrivateKey(data)
		if err != nil {
			mustNotQuote(t, err, string(data))
			return
		}
		if _, err := jose.Verify(sign(t, key, `{}`), jose.NewKeySet(key.Public())); err != nil {
			t.Errorf("a key that was read signs what its public half refuses: %v", err)
		}
		written, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := jose.ParsePrivateKey(written); err != nil || !again.Equal(key) {
			t.Errorf("a key that was read and written is read as another one: %v", err)
		}
	})
}
