package spec

import (
	"strings"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/discovery"
)

// gateNamespace has no token endpoints: /verify/<namespace>/<name> is the gate's, whatever the name.
const gateNamespace = "verify"

// TokenEndpoint is where clients of a SigningKey's issuer ask for tokens, beside its JWKS; empty where that is nowhere.
func (o Operator) TokenEndpoint(key *v1alpha1.SigningKey) string {
	issuer, err := o.Issuer(key)
	if err != nil || key.Namespace == gateNamespace {
		return ""
	}
	beside, found := strings.CutSuffix(discovery.JWKSURI(issuer, o.ExternalURL, key.Namespace, key.Name), "jwks.json")
	if !found {
		return ""
	}
	return beside + "token"
}
