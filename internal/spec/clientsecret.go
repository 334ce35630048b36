package spec

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// IndexClientSecret finds TokenClients by the name of the Secret that holds their client secret.
const IndexClientSecret = "clientSecretName"

// ClientSecretIndex is the value of a TokenClient under IndexClientSecret.
func ClientSecretIndex(object client.Object) []string {
	c, ok := object.(*v1alpha1.TokenClient)
	if !ok || ClientSecretName(c) == "" {
		return nil
	}
	return []string{ClientSecretName(c)}
}

// ClientRotateRequest is which rotation of the client secret a TokenClient asks for; empty for none.
func ClientRotateRequest(c *v1alpha1.TokenClient) string {
	return rotateRequest(c.Annotations[v1alpha1.AnnotationRotateRequestedAt])
}
