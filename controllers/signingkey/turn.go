package signingkey

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// maxTurns bounds one pass: a key is generated and stored, published, and its publication stored.
const maxTurns = 3

// turn observes, decides and acts, until acting has shown nothing new to decide on.
func (r *Reconciler) turn(ctx context.Context, key *v1alpha1.SigningKey) (*world, error) {
	w, err := r.observe(ctx, key)
	if err != nil {
		return w, err
	}
	if w.ring.IsEmpty() {
		if err := r.checkPlace(ctx, w); err != nil {
			return w, err
		}
	}
	for range maxTurns {
		if err := r.confirmMissing(ctx, w); err != nil {
			return w, err
		}
		if err := r.advance(ctx, w); err != nil {
			return w, err
		}
		if err := r.publish(ctx, w); err != nil {
			return w, err
		}
		if !w.awaitsRecord() {
			break
		}
	}
	return w, r.judge(w)
}

// checkPlace refuses to begin a ring whose keys could be published nowhere: tokens would be signed that nobody can verify.
func (r *Reconciler) checkPlace(ctx context.Context, w *world) error {
	cm := &corev1.ConfigMap{}
	name := client.ObjectKey{Namespace: w.key.Namespace, Name: spec.JWKSName(w.key)}
	found, err := kube.Get(ctx, r.Client, r.Live, name, cm)
	if err != nil || !found || w.ownsCopy(cm) {
		return err
	}
	return &foreignError{kube.Problemf(v1alpha1.ReasonConfigMapConflict,
		"ConfigMap %s exists and does not belong to this SigningKey: delete it, or name another in spec.jwks.name", name.Name)}
}

// advance decides what becomes of the ring and stores it, at once or not at all: a process that was frozen in between must not
// store that a key was retired long ago which has signed all the time.
func (r *Reconciler) advance(ctx context.Context, w *world) error {
	ctx, cancel := context.WithTimeout(ctx, w.policy.StoreWithin())
	defer cancel()
	minter := &keyring.Minter{}
	outcome, err := w.ring.Ring().Advance(w.policy, w.seen(), r.Clock.Now(), minter.Mint)
	if err != nil {
		return err
	}
	next, err := w.ring.With(outcome.Ring, minter, jose.KeySet{})
	if err != nil {
		return err
	}
	if outcome.Changed || w.secret == nil || !next.Derived(w.secret.Data) || !labelled(w) {
		if err := r.store(ctx, w, next); err != nil {
			return err
		}
		w.noteRecovery(ctx)
	}
	w.ring, w.outcome = next, outcome
	w.transitions = append(w.transitions, outcome.Transitions...)
	note(ctx, outcome.Transitions)
	return nil
}

// seen is what the copies show of each key of the ring.
func (w *world) seen() rotation.Observation {
	seen := rotation.Observation{}
	holdings := w.holdings()
	for _, id := range w.ring.IDs() {
		presence := rotation.Everywhere
		for _, ns := range w.targets {
			ids, exists := holdings[ns]
			switch {
			case exists && !slices.Contains(ids, id):
				presence = rotation.Missing
			case !exists && presence == rotation.Everywhere:
				presence = rotation.Unknown
			}
		}
		seen[id] = presence
	}
	return seen
}

// awaitsRecord says whether every copy now holds a key whose publication the ring has not recorded.
func (w *world) awaitsRecord() bool {
	seen := w.seen()
	return slices.ContainsFunc(w.ring.Ring().Keys, func(k rotation.Key) bool {
		return k.State == rotation.Pending && k.PublishedAt.IsZero() && seen[k.ID] == rotation.Everywhere
	})
}

// holdings are the IDs of the keys in each copy, by namespace.
func (w *world) holdings() map[string][]string {
	holdings := map[string][]string{}
	for ns, cm := range w.copies {
		holdings[ns] = keyIDs(cm.Data[v1alpha1.ConfigMapKeyJWKS])
	}
	return holdings
}

// keyIDs are the "kid"s of a JWK Set; none if it cannot be read.
func keyIDs(jwks string) []string {
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		return nil
	}
	ids := make([]string, 0, len(set.Keys))
	for _, key := range set.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}
