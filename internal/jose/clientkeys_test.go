package jose_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

// clientKey is a public JWK of that algorithm with members replaced, or removed where they are nil.
func clientKey(t *testing.T, alg jose.Algorithm, changes map[string]any) string {
	t.Helper()
	document, err := keys()[alg].Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	return changed(t, document, changes)
}

func changed(t *testing.T, document []byte, changes map[string]any) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(document, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCheckClientKeySet(t *testing.T) {
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	bare := map[string]any{"alg": nil, "use": nil, "kid": "mine"}
	var many []string
	for i := range 17 {
		many = append(many, clientKey(t, jose.EdDSA, map[string]any{"kid": fmt.Sprint(i)}))
	}
	private, err := keys()[jose.ES256].JWK()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ set, want string }{
		"a key of ours":                  {set(clientKey(t, jose.ES256, nil)), ""},
		"an EC key without alg":          {set(clientKey(t, jose.ES384, bare)), ""},
		"an RSA key without alg":         {set(clientKey(t, jose.RS256, bare)), ""},
		"an OKP key without alg":         {set(clientKey(t, jose.EdDSA, bare)), ""},
		"an OKP key for Ed25519":         {set(clientKey(t, jose.EdDSA, map[string]any{"alg": "Ed25519", "kid": "mine"})), ""},
		"an EC key for Ed25519":          {set(clientKey(t, jose.ES256, map[string]any{"alg": "Ed25519", "kid": "mine"})), "algorithm not permitted"},
		"a key for PS256":                {set(clientKey(t, jose.PS256, map[string]any{"kid": "mine"})), ""},
		"further members":                {set(clientKey(t, jose.ES256, map[string]any{"x5t": "a", "kid": "a b"})), ""},
		"sixteen keys":                   {set(many[:16]...), ""},
		"seventeen keys":                 {set(many...), "it has 17 keys, 1 to 16 are allowed"},
		"no keys":                        {set(), "it has 0 keys"},
		"no set":                         {`{}`, "member keys is not an array"},
		"no JSON":                        {`keys`, "malformed"},
		"a member twice":                 {`{"keys":[],"keys":[]}`, "malformed"},
		"no object":                      {`{"keys":[1]}`, "keys[0]: malformed"},
		"no kid":                         {set(clientKey(t, jose.ES256, map[string]any{"kid": nil})), "keys[0]: key ID missing or wrong: member kid is not a text"},
		"a kid twice":                    {set(many[0], many[0]), "keys[1]: key ID missing or wrong: another key before it has the same kid"},
		"a private key":                  {set(changed(t, private, nil)), "keys[0]: key not usable: member d does not belong in this kind of key"},
		"a symmetric key":                {set(`{"kty":"oct","k":"AAAA","kid":"a"}`), "member k does not belong in this kind of key"},
		"a key to encrypt with":          {set(clientKey(t, jose.ES256, map[string]any{"use": "enc"})), "member use is not sig"},
		"a key for no algorithm of ours": {set(clientKey(t, jose.ES256, map[string]any{"alg": "HS256"})), "member alg"},
		"a key for another algorithm":    {set(clientKey(t, jose.ES256, map[string]any{"alg": "ES384"})), "the key's curve is not the one of ES384"},
		"a curve that is not ours":       {set(`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"a"}`), "keys[0]"},
		"a kind that is not ours":        {set(`{"kty":"AKP","kid":"a"}`), "keys[0]"},
		"a weak key":                     {set(`{"kty":"RSA","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl","e":"AQAB","kid":"a"}`), "not 2048 to 8192"},
		"another way to write a number":  {set(clientKey(t, jose.RS256, map[string]any{"e": "AAEAAQ"})), "member e is missing, not canonical"},
		"too long":                       {`{"keys":[` + strings.Repeat(" ", 64<<10) + `]}`, "at most 65536 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := jose.CheckClientKeySet([]byte(c.set))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
