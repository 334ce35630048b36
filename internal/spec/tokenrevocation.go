package spec

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// RevokedKey is the SigningKey whose tokens a TokenRevocation takes back.
func RevokedKey(revocation *v1alpha1.TokenRevocation) types.NamespacedName {
	return types.NamespacedName{Namespace: revocation.Namespace, Name: revocation.Spec.SigningKeyName}
}

// DenyListName is the ConfigMap that publishes the deny list of a SigningKey.
func DenyListName(key types.NamespacedName) types.NamespacedName {
	return types.NamespacedName{Namespace: key.Namespace, Name: key.Name + "-revocations"}
}

// Revocation returns what a TokenRevocation takes back. life is how long after it was issued a token of its SigningKey can matter.
func Revocation(revocation *v1alpha1.TokenRevocation, life time.Duration) denylist.Entry {
	s := &revocation.Spec
	e := denylist.Entry{IssuedBefore: denylist.DefaultInstant(revocation.CreationTimestamp.Time)}
	if s.IssuedBefore != nil {
		e.IssuedBefore = s.IssuedBefore.UTC()
	}
	e.Until = denylist.Until(e.IssuedBefore, life)
	switch {
	case s.TokenID != "":
		e.Kind, e.Value, e.IssuedBefore = denylist.TokenID, s.TokenID, time.Time{}
	case s.Subject != "":
		e.Kind, e.Value = denylist.Subject, s.Subject
	case s.ClientID != "":
		e.Kind, e.Value = denylist.ClientID, s.ClientID
	case s.KeyID != "":
		e.Kind, e.Value = denylist.KeyID, string(s.KeyID)
	}
	return e
}

// RevokedKeys are the revoked keys of a SigningKey, for verifiers that never forget one. A key that the ring has not let go yet is denied
// all the same: until when, the ring says once it has.
func RevokedKeys(key *v1alpha1.SigningKey, ring rotation.Ring) []denylist.Entry {
	var entries []denylist.Entry
	for _, d := range ring.Denied {
		entries = append(entries, denylist.Entry{Kind: denylist.KeyID, Value: d.ID, Until: d.Until})
	}
	for _, id := range RevokedKeyIDs(key) {
		if _, there := ring.Key(id); (there || len(ring.Keys) == 0) && !ring.IsDenied(id) {
			entries = append(entries, denylist.Entry{Kind: denylist.KeyID, Value: id})
		}
	}
	slices.SortFunc(entries, func(a, b denylist.Entry) int { return a.Until.Compare(b.Until) })
	return entries
}
