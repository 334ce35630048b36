package spec

import (
	"strings"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/discovery"
)

// TokenEndpoint is where clients of a SigningKey's issuer ask for tokens, beside its JWKS; empty where that is nowhere.
func (o Operator) TokenEndpoint(key *v1alpha1.SigningKey) string {
	issuer, err := o.Issuer(key)
	if err != nil {
		return ""
	}
	beside, found := strings.CutSuffix(discovery.JWKSURI(issuer, o.ExternalURL, key.Namespace, key.Name), "jwks.json")
	if !found {
		return ""
	}
	return beside + "token"
}
