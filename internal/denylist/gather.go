package denylist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// Revoked is a TokenRevocation and what it takes back.
type Revoked struct {
	Object *v1alpha1.TokenRevocation
	Entry  denylist.Entry
}

// Gathered is all that a deny list is made from.
type Gathered struct {
	// Keys are the revoked keys.
	Keys []denylist.Entry
	// Revocations are the TokenRevocations, oldest first.
	Revocations []Revoked
}

// Entries are all entries, those of keys first.
func (g Gathered) Entries() []denylist.Entry {
	entries := slices.Clone(g.Keys)
	for _, r := range g.Revocations {
		entries = append(entries, r.Entry)
	}
	return entries
}

// Source is where the parts of a deny list are read.
type Source struct {
	// Reader has the TokenRevocations.
	Reader client.Reader
	// Indexed says that the reader is a cache with spec.IndexSigningKey.
	Indexed bool
	// Ring reads the ring of a SigningKey, as ringstore.Store does.
	Ring     func(context.Context, *v1alpha1.SigningKey) (keyring.Keyring, error)
	Operator spec.Operator
}

// Gather reads the parts of the deny list of a SigningKey. The objects are not to be changed. While there is no ring, the policy alone says
// how long tokens live.
func (s Source) Gather(ctx context.Context, key *v1alpha1.SigningKey) (Gathered, error) {
	ring, err := s.Ring(ctx, key)
	if err != nil && !errors.Is(err, ringstore.ErrNoRing) {
		return Gathered{}, fmt.Errorf("read ring: %w", err)
	}
	life := ring.Ring().TokenLife(s.Operator.Policy(key))
	revocations, err := s.Revocations(ctx, client.ObjectKeyFromObject(key))
	if err != nil {
		return Gathered{}, err
	}
	g := Gathered{Keys: spec.RevokedKeys(key, ring.Ring())}
	for _, object := range revocations {
		g.Revocations = append(g.Revocations, Revoked{Object: object, Entry: spec.Revocation(object, life)})
	}
	return g, nil
}

// Revocations lists the TokenRevocations of a SigningKey, oldest first, also if there is no such key.
func (s Source) Revocations(ctx context.Context, key types.NamespacedName) ([]*v1alpha1.TokenRevocation, error) {
	options := []client.ListOption{client.InNamespace(key.Namespace)}
	if s.Indexed { // Nobody changes them, so none has to be copied.
		options = append(options, client.MatchingFields{spec.IndexSigningKey: key.String()}, client.UnsafeDisableDeepCopy)
	}
	var list v1alpha1.TokenRevocationList
	if err := s.Reader.List(ctx, &list, options...); err != nil {
		return nil, fmt.Errorf("list TokenRevocations: %w", err)
	}
	var found []*v1alpha1.TokenRevocation
	for i := range list.Items {
		if list.Items[i].Spec.SigningKeyName == key.Name {
			found = append(found, &list.Items[i])
		}
	}
	slices.SortFunc(found, older)
	return found, nil
}

func older(a, b *v1alpha1.TokenRevocation) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}
