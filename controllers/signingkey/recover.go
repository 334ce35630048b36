package signingkey

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// recoverRing makes up for a ring that is lost: the keys that are still found published stay so, as Retired. Only the
// ConfigMap in the SigningKey's own namespace is believed, and of it only keys that the status knows too, so that
// whoever may write a ConfigMap cannot have a key of their own published.
func (r *Reconciler) recoverRing(ctx context.Context, w *world) error {
	published, generation, err := r.published(ctx, w)
	if err != nil {
		return err
	}
	var found []rotation.Found
	for _, key := range published.Keys() {
		if w.vouches(key.ID()) {
			found = append(found, rotation.Found{ID: key.ID(), Algorithm: string(key.Algorithm())})
		}
	}
	if len(found) == 0 && w.lost == "" && len(w.key.Status.Keys) == 0 {
		return nil // There never was a ring.
	}
	switch {
	case w.lost != "":
	case w.secret == nil:
		w.lost = "Secret " + spec.RingSecretName(w.key) + " is gone"
	default:
		w.lost = "Secret " + w.secret.Name + " holds an older ring than the one published"
	}
	ring := w.ring.Ring()
	ring.Denied = w.deniedToo(ring.Denied)
	ring = ring.Recover(found, generation, w.policy, w.longestKnown(), r.Clock.Now())
	if !w.ring.IsEmpty() || len(found) > 0 || len(ring.Denied) > 0 {
		w.ring, err = w.ring.With(ring, &keyring.Minter{}, published)
	}
	return err
}

// published is what the ConfigMap in the SigningKey's own namespace holds.
func (r *Reconciler) published(ctx context.Context, w *world) (jose.KeySet, int64, error) {
	cm := &corev1.ConfigMap{}
	name := client.ObjectKey{Namespace: w.key.Namespace, Name: spec.JWKSName(w.key)}
	found, err := kube.Get(ctx, r.Client, r.Live, name, cm)
	if err != nil || !found || !kube.Owns(w.key, kind, cm) {
		return jose.KeySet{}, w.publishedGeneration(), err
	}
	set, err := jose.ParseKeySet([]byte(cm.Data[v1alpha1.ConfigMapKeyJWKS]))
	if err != nil {
		set = jose.KeySet{} // An unreadable copy is rebuilt like any other.
	}
	return set, max(generationOf(cm), w.publishedGeneration()), nil
}

// vouches says whether the status knows a key as published. A status that knows none was lost too.
func (w *world) vouches(id string) bool {
	if slices.Contains(w.policy.Revoked, id) {
		return false
	}
	if len(w.key.Status.Keys) == 0 {
		return true
	}
	return slices.ContainsFunc(w.key.Status.Keys, func(k v1alpha1.KeyStatus) bool {
		return k.ID == id && k.State != v1alpha1.KeyRevoked
	})
}

// deniedToo adds the revoked keys that only the status still knows.
func (w *world) deniedToo(denied []rotation.Denial) []rotation.Denial {
	for _, k := range w.key.Status.Keys {
		known := slices.ContainsFunc(denied, func(d rotation.Denial) bool { return d.ID == k.ID })
		if k.State != v1alpha1.KeyRevoked || known || k.RetiredAt == nil || k.RemoveAfter == nil {
			continue
		}
		denied = append(denied, rotation.Denial{
			ID: k.ID, Algorithm: string(k.Algorithm), RevokedAt: k.RetiredAt.UTC(), Until: k.RemoveAfter.UTC(),
		})
	}
	return denied
}

// longestKnown is the longest life of a token that the ring, the status or the spec speaks of.
func (w *world) longestKnown() time.Duration {
	longest := w.policy.LongestToken
	for _, k := range w.ring.Ring().Keys {
		longest = max(longest, k.LongestToken)
	}
	for _, k := range w.key.Status.Keys {
		if k.RetiredAt != nil && k.RemoveAfter != nil {
			longest = max(longest, k.RemoveAfter.Sub(k.RetiredAt.Time))
		}
	}
	return longest
}
