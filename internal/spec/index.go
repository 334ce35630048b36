package spec

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The field indexes of the cache.
const (
	// IndexSigningKey finds ServiceTokens by the namespace/name of their SigningKey.
	IndexSigningKey = "spec.signingKeyRef"
	// IndexIssuer finds SigningKeys by the issuer in force.
	IndexIssuer = "issuer"
)

// SigningKeyIndex is the value of a ServiceToken under IndexSigningKey.
func SigningKeyIndex(object client.Object) []string {
	t, ok := object.(*v1alpha1.ServiceToken)
	if !ok {
		return nil
	}
	return []string{KeyRef(t).String()}
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
