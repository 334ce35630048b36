package discovery_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/discovery"
	"github.com/keyturn/keyturn/internal/jose"
)

func TestTheConfigurationListsExactlyWhatWorks(t *testing.T) {
	var keys []jose.PublicKey
	for _, algorithm := range []jose.Algorithm{jose.EdDSA, jose.ES256, jose.ES256} {
		key, err := jose.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.Public())
	}
	document, err := json.Marshal(discovery.NewMetadata("https://a.example", "https://a.example/jwks.json", jose.NewKeySet(keys...)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"issuer":"https://a.example","jwks_uri":"https://a.example/jwks.json","response_types_supported":["id_token"],` +
		`"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["EdDSA","ES256"]}`
	if diff := cmp.Diff(want, string(document)); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestTheJWKSIsWhereAVerifierCanFetchIt(t *testing.T) {
	for sentence, c := range map[string]struct{ issuer, external, want string }{
		"an issuer made of the external URL":                    {"https://k.example/shop/orders", "https://k.example", "https://k.example/shop/orders/jwks.json"},
		"the external URL has a path":                           {"https://k.example/jwt/shop/orders", "https://k.example/jwt", "https://k.example/jwt/shop/orders/jwks.json"},
		"an issuer on a host of its own, and an external URL":   {"https://orders.example", "https://k.example", "https://k.example/shop/orders/jwks.json"},
		"an issuer on a host of its own, without":               {"https://orders.example/v2", "", "https://orders.example/v2/jwks.json"},
		"a terminating slash of the issuer is not doubled":      {"https://orders.example/", "", "https://orders.example/jwks.json"},
		"an issuer that is no URL is in no configuration":       {"orders", "https://k.example", ""},
		"an issuer of another scheme is in no configuration":    {"urn:example:orders", "https://k.example", ""},
		"an issuer of another scheme, and no external URL, too": {"spiffe://example/orders", "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := discovery.JWKSURI(c.issuer, c.external, "shop", "orders"); got != c.want {
				t.Errorf("jwks_uri is %q, want %q", got, c.want)
			}
		})
	}
}
