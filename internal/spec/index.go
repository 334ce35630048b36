package spec

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The field indexes of the cache.
const (
	// IndexSigningKey finds ServiceTokens, TokenClients, TokenRevocations and TokenPolicies by the namespace/name of their
	// SigningKey.
	IndexSigningKey = "spec.signingKeyRef"
	// IndexIssuer finds SigningKeys by the issuer in force.
	IndexIssuer = "issuer"
)

// SigningKeyIndex are the values of an object under IndexSigningKey.
func SigningKeyIndex(object client.Object) []string {
	switch o := object.(type) {
	case *v1alpha1.ServiceToken:
		return []string{KeyRef(o).String()}
	case *v1alpha1.TokenClient:
		return []string{ClientKeyRef(o).String()}
	case *v1alpha1.TokenRevocation:
		return []string{RevokedKey(o).String()}
	case *v1alpha1.TokenPolicy:
		var keys []string
		for _, ref := range PolicyKeyRefs(o) {
			keys = append(keys, ref.String())
		}
		return keys
	default:
		return nil
	}
}

// IssuerIndex is the value of a SigningKey under IndexIssuer.
func (o Operator) IssuerIndex(object client.Object) []string {
	key, ok := object.(*v1alpha1.SigningKey)
	if !ok {
		return nil
	}
	issuer, err := o.Issuer(key)
	if err != nil {
		return nil
	}
	return []string{issuer}
}
