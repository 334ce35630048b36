package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// publication is what is published of one SigningKey, and what is known about it.
type publication struct {
	keys jose.KeySet
	// believed is the set of the last ring that was whole. It is what remains when the ring is lost.
	believed jose.KeySet
	ring     rotation.Ring
	// settled is false while the controller has something to do that did not wait for verifiers: to replace a revoked key, or
	// to make up for a ring that is lost.
	settled bool
}

// publish says which keys are published: those of the ring, but for the ones that the SigningKey names as revoked, also before
// the controller has acted on it. A ring that is lost, unreadable or older than the one that the status speaks of counts for
// nothing. Until the controller has made up for it, the keys stay that were published, as far as the status vouches for them.
func (d *Directory) publish(ctx context.Context, key *v1alpha1.SigningKey, believed jose.KeySet) (publication, error) {
	ring, err := d.rings.Ring(ctx, key)
	switch {
	case err == nil:
		whole := ring.Public()
		keys := only(whole, func(id string) bool { return !spec.IsRevoked(key, id) })
		return publication{keys: keys, believed: whole, ring: ring.Ring(), settled: keys.Len() == whole.Len()}, nil
	case !errors.Is(err, ringstore.ErrNoRing):
		return publication{}, fmt.Errorf("read ring: %w", err)
	}
	copied, err := d.copied(ctx, key)
	if err != nil {
		return publication{}, err
	}
	found := jose.NewKeySet(slices.Concat(believed.Keys(), copied.Keys())...)
	keys := only(found, func(id string) bool { return spec.Vouches(key, id) })
	return publication{keys: keys, believed: believed}, nil
}

// copied is what the ConfigMap beside the SigningKey holds; nothing, if it cannot be read.
func (d *Directory) copied(ctx context.Context, key *v1alpha1.SigningKey) (jose.KeySet, error) {
	cm := &corev1.ConfigMap{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: spec.JWKSName(key)}
	if err := d.reader.Get(ctx, name, cm); client.IgnoreNotFound(err) != nil {
		return jose.KeySet{}, fmt.Errorf("read JWKS ConfigMap: %w", err)
	}
	set, err := jose.ParseKeySet([]byte(cm.Data[v1alpha1.ConfigMapKeyJWKS]))
	if err != nil {
		return jose.KeySet{}, nil //nolint:nilerr // Whoever may write a ConfigMap can put anything into it.
	}
	return set, nil
}

func only(set jose.KeySet, keep func(id string) bool) jose.KeySet {
	return jose.NewKeySet(slices.DeleteFunc(set.Keys(), func(k jose.PublicKey) bool { return !keep(k.ID()) })...)
}
