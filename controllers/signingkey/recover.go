package signingkey

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// recoverRing makes up for a ring that is lost: the keys that are still found stay published, as Retired. Of what is
// found only keys that the status knows are believed: their IDs are their thumbprints, so that whoever may write a
// ConfigMap or restore a Secret cannot have a key of their own published.
func (r *Reconciler) recoverRing(ctx context.Context, w *world) error {
	published, err := r.published(ctx, w)
	if err != nil {
		return err
	}
	var found []rotation.Found
	for _, key := range append(published.Keys(), w.ring.Public().Keys()...) {
		if spec.Vouches(w.key, key.ID()) {
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
	ring.Denied = w.deniedToo(ring.Denied, r.Clock.Now())
	ring = ring.Recover(found, w.key.Status.RingGeneration, w.policy, w.longestKnown(), r.Clock.Now())
	// Also where nothing was found: the ring goes on counting, or it would pass for an older one.
	w.ring, err = w.ring.With(ring, &keyring.Minter{}, published)
	return err
}

// noteRecovery logs and counts a lost ring, once it is made up for.
func (w *world) noteRecovery(ctx context.Context) {
	if w.lost == "" || w.recovered {
		return
	}
	w.recovered = true
	transitions.WithLabelValues(v1alpha1.ReasonRingLost).Inc()
	log.FromContext(ctx).Info("ring lost", "because", w.lost)
}

// published is what the copies hold, that of the SigningKey's own namespace first. An unreadable copy holds nothing.
func (r *Reconciler) published(ctx context.Context, w *world) (jose.KeySet, error) {
	own := &corev1.ConfigMap{}
	name := client.ObjectKey{Namespace: w.key.Namespace, Name: spec.JWKSName(w.key)}
	if _, err := kube.Get(ctx, r.Client, r.Live, name, own); err != nil {
		return jose.KeySet{}, err
	}
	copies := []*corev1.ConfigMap{own}
	for _, ns := range slices.Sorted(maps.Keys(w.copies)) {
		copies = append(copies, w.copies[ns])
	}
	var keys []jose.PublicKey
	for _, cm := range copies {
		if set, err := jose.ParseKeySet([]byte(cm.Data[v1alpha1.ConfigMapKeyJWKS])); err == nil {
			keys = append(keys, set.Keys()...)
		}
	}
	return jose.NewKeySet(keys...), nil
}

// deniedToo adds the revoked keys that only the status still knows: those that were revoked before the ring was lost, and those
// that were revoked since, of which no ring has noted it.
func (w *world) deniedToo(denied []rotation.Denial, now time.Time) []rotation.Denial {
	soon := now.UTC().Truncate(time.Second).Add(time.Second)
	for _, k := range w.key.Status.Keys {
		known := slices.ContainsFunc(denied, func(d rotation.Denial) bool { return d.ID == k.ID })
		// One that is in an older ring, and revoked since, leaves it as any other does that the spec names.
		_, held := w.ring.Ring().Key(k.ID)
		if known || !spec.IsRevoked(w.key, k.ID) || held && k.State != v1alpha1.KeyRevoked {
			continue
		}
		denial := rotation.Denial{ID: k.ID, Algorithm: string(k.Algorithm), RevokedAt: soon, Until: soon.Add(w.longestKnown() + w.policy.Margin())}
		if k.RetiredAt != nil && k.RemoveAfter != nil {
			denial.RevokedAt, denial.Until = k.RetiredAt.UTC(), k.RemoveAfter.UTC()
		}
		denied = append(denied, denial)
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
			longest = max(longest, k.RemoveAfter.Sub(k.RetiredAt.Time)-w.policy.Margin())
		}
	}
	return longest
}
