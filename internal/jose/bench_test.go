package jose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

// The rows named plain do the same with package crypto, encoding/base64 and encoding/json alone, and check nothing:
// the floor.

func benchmarked() []jose.Algorithm { return []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} }

func BenchmarkSign(b *testing.B) {
	for _, alg := range benchmarked() {
		key := keys()[alg]
		private := fromPEM(b, key)
		b.Run(string(alg)+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				header := encode(b, members{"alg": string(alg), "kid": key.ID(), "typ": "JWT"})
				text := b64(string(header)) + "." + b64(someClaims)
				_ = text + "." + b64(plainSign(b, alg, private, text))
			}
		})
		b.Run(string(alg)+"/jose", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jose.Sign(key, jose.TypeJWT, []byte(someClaims)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range benchmarked() {
		key := keys()[alg]
		public := fromPEM(b, key).Public()
		set := jose.NewKeySet(key.Public())
		token := sign(b, key, someClaims)
		b.Run(string(alg)+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parts := strings.Split(token, ".")
				var header, claims map[string]any
				if json.Unmarshal([]byte(unb64(b, parts[0])), &header) != nil || json.Unmarshal([]byte(unb64(b, parts[1])), &claims) != nil {
					b.Fatal("not JSON")
				}
				if !plainVerify(alg, public, parts[0]+"."+parts[1], unb64(b, parts[2])) {
					b.Fatal("not verified")
				}
			}
		})
		b.Run(string(alg)+"/jose", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jose.Verify(token, set); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
