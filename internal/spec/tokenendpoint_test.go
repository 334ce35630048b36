package spec_test

import (
	"testing"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

func TestTokenEndpoint(t *testing.T) {
	issuer := func(issuer string) func(*v1alpha1.SigningKey) {
		return func(k *v1alpha1.SigningKey) { k.Spec.Issuer = issuer }
	}
	verify := func(k *v1alpha1.SigningKey) { k.Namespace = "verify" }
	for sentence, c := range map[string]struct {
		external string
		key      []func(*v1alpha1.SigningKey)
		want     string
	}{
		"an issuer made of the external URL":           {"https://k.example/jwt", nil, "https://k.example/jwt/bank/main/token"},
		"an issuer of its own, and an external URL":    {"https://k.example", []func(*v1alpha1.SigningKey){issuer("https://bank.example")}, "https://k.example/bank/main/token"},
		"an issuer of its own, and none":               {"", []func(*v1alpha1.SigningKey){issuer("https://bank.example/")}, "https://bank.example/token"},
		"an issuer that is no https URL":               {"https://k.example", []func(*v1alpha1.SigningKey){issuer("bank")}, ""},
		"no issuer":                                    {"", nil, ""},
		"a namespace whose paths are the gate's":       {"https://k.example", []func(*v1alpha1.SigningKey){verify}, ""},
		"such a namespace, and an issuer of its own":   {"", []func(*v1alpha1.SigningKey){verify, issuer("https://bank.example")}, ""},
		"a key that is called as the gate's namespace": {"https://k.example", []func(*v1alpha1.SigningKey){func(k *v1alpha1.SigningKey) { k.Name = "verify" }}, "https://k.example/bank/verify/token"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := (spec.Operator{ExternalURL: c.external}).TokenEndpoint(signingKey(c.key...)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
