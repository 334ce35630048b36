package leak_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/test/e2e/leak"
)

func TestASecretIsFoundWhereItStands(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: private})
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: private.Public()})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	armoured := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	const compact = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl"
	var members map[string]string
	if err := json.Unmarshal(jwk, &members); err != nil {
		t.Fatal(err)
	}

	var known leak.Watcher
	known.Token(compact)
	known.Assertion("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.b2YtYS1jbGllbnQ")
	known.PEM(armoured)
	if err := known.PrivateKeys([]byte(`{"keys":[{"key":` + string(jwk) + `}]}`)); err != nil {
		t.Fatal(err)
	}
	const clientSecret, refreshToken = "of-one-client-only-0", "of-one-family-only-0"
	known.ClientSecret(clientSecret)
	known.ClientSecret("")
	known.RefreshToken(refreshToken)
	const stored, issued = "a private key that was stored", "a token that was issued"
	tests := map[string]struct {
		text           string
		known, unknown []string
	}{
		"nothing":                  {text: "key one signs; " + string(public)},
		"a token":                  {text: "Bearer " + compact, known: []string{issued, "what looks like a token"}, unknown: []string{"what looks like a token"}},
		"a client secret":          {text: "secret=" + clientSecret, known: []string{"a client secret that was stored"}},
		"a refresh token":          {text: "token=" + refreshToken + ";", known: []string{"a refresh token that was issued"}},
		"the signature of a token": {text: "c2lnbmF0dXJl", known: []string{issued}},
		"that of an assertion":     {text: "b2YtYS1jbGllbnQ", known: []string{"an assertion that was made"}},
		"a private JWK": {
			text: string(jwk), known: []string{stored, "what looks like a private JWK"}, unknown: []string{"what looks like a private JWK"},
		},
		"a private JWK in a JSON string": {
			text: strings.ReplaceAll(string(jwk), `"`, `\"`), known: []string{stored, "what looks like a private JWK"}, unknown: []string{"what looks like a private JWK"},
		},
		"the private value of a JWK": {text: members["d"], known: []string{stored}},
		"a private key in PEM": {
			text: armoured, known: []string{stored, "what looks like a private key in PEM"}, unknown: []string{"what looks like a private key in PEM"},
		},
		"a line of PEM": {text: strings.Split(armoured, "\n")[1], known: []string{stored}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.known, known.Find(test.text)); diff != "" {
				t.Errorf("what is found of known secrets differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.unknown, new(leak.Watcher).Find(test.text)); diff != "" {
				t.Errorf("what is found of unknown secrets differs (-want +got):\n%s", diff)
			}
		})
	}
}
