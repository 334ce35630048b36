package spec

import (
	"slices"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// IsRevoked says whether a SigningKey names that key ID as compromised, or still denies it.
func IsRevoked(key *v1alpha1.SigningKey, id string) bool {
	return slices.Contains(key.Spec.RevokedKeyIDs, v1alpha1.KeyID(id)) ||
		slices.ContainsFunc(key.Status.Keys, func(k v1alpha1.KeyStatus) bool { return k.ID == id && k.State == v1alpha1.KeyRevoked })
}

// Vouches says whether the status, which only the operator writes, knows that key ID as published. A key that is found
// elsewhere than in a whole ring is believed only then: its ID is its thumbprint, so that whoever may write a ConfigMap or
// restore a Secret cannot have a key of their own published.
func Vouches(key *v1alpha1.SigningKey, id string) bool {
	known := slices.ContainsFunc(key.Status.Keys, func(k v1alpha1.KeyStatus) bool { return k.ID == id })
	return known && !IsRevoked(key, id)
}
