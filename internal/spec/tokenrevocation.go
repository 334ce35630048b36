package spec

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// RevocationKeyRef is the SigningKey whose tokens a TokenRevocation takes back.
func RevocationKeyRef(r *v1alpha1.TokenRevocation) types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Spec.SigningKeyName}
}

// IssuedBefore is the instant before which the tokens were issued that a TokenRevocation takes back: by default the second
// after the one in which it was created, so that it concerns every token that was there. It is zero for one that takes back
// a single token.
func IssuedBefore(r *v1alpha1.TokenRevocation) time.Time {
	switch {
	case r.Spec.TokenID != "":
		return time.Time{}
	case r.Spec.IssuedBefore != nil:
		return r.Spec.IssuedBefore.UTC()
	default:
		return r.CreationTimestamp.UTC().Truncate(time.Second).Add(time.Second)
	}
}
