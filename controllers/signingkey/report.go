package signingkey

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	applyv1alpha1 "github.com/keyturn/keyturn/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// judge says what the user must mend although the ring turns.
func (r *Reconciler) judge(w *world) error {
	if err := w.policy.Check(); err != nil {
		return kube.Problemf(v1alpha1.ReasonInvalidPolicy, "spec.rotation: %v", err)
	}
	if faults := r.Permit.CheckRules(w.key); len(faults) > 0 {
		return kube.Problemf(v1alpha1.ReasonInvalidPolicy, "%v", faults.ToAggregate())
	}
	if why, blocked := w.blocked[w.key.Namespace]; blocked {
		return kube.Problemf(v1alpha1.ReasonConfigMapConflict, "the JWKS is not published: %s", why)
	}
	if len(w.blocked) > 0 {
		return kube.Problemf(v1alpha1.ReasonPropagationPending, "%s", w.blockedMessage())
	}
	return nil
}

// report sends the events of what was stored, and writes the status once, if it changed.
func (r *Reconciler) report(ctx context.Context, w *world, problem error) error {
	r.announce(w)
	if kube.IsOvertaken(problem) {
		return nil // Somebody else was faster: the next pass sees what they did.
	}
	if last, version, ok := r.statuses.NewerThan(w.key); ok {
		w.key = w.key.DeepCopy()
		w.key.Status, w.key.ResourceVersion = last, version
	}
	status := w.key.Status.DeepCopy()
	r.describe(w, status, problem)
	if !equality.Semantic.DeepEqual(status, &w.key.Status) {
		if err := r.applyStatus(ctx, w.key, status); err != nil {
			return err
		}
	}
	if problem != nil && kube.IsNews(w.key.Status.Conditions, status.Conditions, v1alpha1.ConditionReady) {
		log.FromContext(ctx).Info("not ready", "reason", kube.ReasonOf(problem), "message", kube.MessageOf(problem))
		r.Recorder.Eventf(w.key, nil, corev1.EventTypeWarning, kube.ReasonOf(problem), "Report", "%s", kube.Note(kube.MessageOf(problem)))
	}
	return nil
}

// announce sends an event for each change of the ring in this pass. No later pass sees these changes.
func (r *Reconciler) announce(w *world) {
	for _, t := range w.transitions {
		r.Recorder.Eventf(w.key, nil, corev1.EventTypeNormal, eventReason(t.Change), "Rotate", "%s", eventNote(t))
	}
	if w.recovered {
		r.Recorder.Eventf(w.key, nil, corev1.EventTypeWarning, v1alpha1.ReasonRingLost, "Recover", "%s", w.lost)
	}
}

func (r *Reconciler) applyStatus(ctx context.Context, key *v1alpha1.SigningKey, status *v1alpha1.SigningKeyStatus) error {
	wanted, err := kube.Convert[applyv1alpha1.SigningKeyStatusApplyConfiguration](status)
	if err != nil {
		return err
	}
	object := applyv1alpha1.SigningKey(key.Name, key.Namespace).WithUID(key.UID).WithStatus(wanted)
	err = kube.WriteOver(key.ResourceVersion, func(version string) error {
		return r.Client.Status().Apply(ctx, object.WithResourceVersion(version), fieldOwner, client.ForceOwnership)
	}, func() (string, bool, error) {
		now := &v1alpha1.SigningKey{}
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(key), now)
		return now.ResourceVersion, equality.Semantic.DeepEqual(now.Status, key.Status), err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("write status: %w", err)
	}
	r.statuses.Remember(key.UID, *object.ResourceVersion, *status)
	return nil
}

func (r *Reconciler) describe(w *world, status *v1alpha1.SigningKeyStatus, problem error) {
	now, generation := r.Clock.Now(), w.key.Generation
	status.ObservedGeneration = generation
	ready := kube.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, w.readyMessage(), generation)
	if problem != nil {
		ready = kube.False(v1alpha1.ConditionReady, kube.ReasonOf(problem), kube.MessageOf(problem), generation)
	}
	kube.Condition(&status.Conditions, ready, now)
	if w.ring.IsEmpty() || w.secret == nil {
		return
	}
	ring := w.ring.Ring()
	active, _ := ring.ActiveKey()
	status.Issuer, status.ActiveKeyID, status.RingGeneration = w.issuer, active.ID, ring.Generation
	status.Keys = keyStatuses(ring)
	status.NextTransitionTime = kube.Instant(w.outcome.Next)
	kube.Condition(&status.Conditions, w.propagated(), now)
	kube.Condition(&status.Conditions, w.intact(), now)
}

func (w *world) readyMessage() string {
	message := "a key signs and its JWKS is published"
	if w.outcome.Crowded {
		message += "; a rotation waits until a Retired key has left the JWKS, which is full"
	}
	return message
}

func (w *world) propagated() metav1.Condition {
	generation := w.key.Generation
	seen := w.seen()
	behind := slices.ContainsFunc(w.ring.IDs(), func(id string) bool { return seen[id] != rotation.Everywhere })
	switch {
	case len(w.blocked) > 0:
		return kube.False(v1alpha1.ConditionPropagated, v1alpha1.ReasonPropagationPending, w.blockedMessage(), generation)
	case behind:
		return kube.False(v1alpha1.ConditionPropagated, v1alpha1.ReasonPropagationPending, "a copy of the JWKS is being written", generation)
	default:
		return kube.True(v1alpha1.ConditionPropagated, v1alpha1.ReasonPropagated, w.propagatedMessage(), generation)
	}
}

func (w *world) propagatedMessage() string {
	message := fmt.Sprintf("%d ConfigMaps hold every key of the ring", len(w.targets))
	if len(w.unwatched) > 0 {
		message += "; " + spec.OutOfReach(w.unwatched)
	}
	return message
}

// blockedMessage names the copies that cannot be written, the first few in full.
func (w *world) blockedMessage() string {
	const most = 5
	names := slices.Sorted(maps.Keys(w.blocked))
	var out strings.Builder
	fmt.Fprintf(&out, "%d of %d copies of the JWKS cannot be written, and no new key signs before they are", len(names), len(w.targets))
	for _, ns := range names[:min(len(names), most)] {
		fmt.Fprintf(&out, "; namespace %s: %s", ns, w.blocked[ns])
	}
	return out.String()
}

func (w *world) intact() metav1.Condition {
	generation := w.key.Generation
	switch {
	case w.lost != "":
		return kube.False(v1alpha1.ConditionRingIntact, v1alpha1.ReasonRingLost,
			w.lost+": a fresh key signs, the published keys stay published until their tokens have expired", generation)
	case w.ring.Ring().IsRecovered():
		return kube.False(v1alpha1.ConditionRingIntact, v1alpha1.ReasonRingLost,
			"the ring was lost: keys without their private half stay published until their tokens have expired", generation)
	default:
		return kube.True(v1alpha1.ConditionRingIntact, v1alpha1.ReasonRingIntact, "the ring Secret holds what is published", generation)
	}
}

func keyStatuses(ring rotation.Ring) []v1alpha1.KeyStatus {
	var out []v1alpha1.KeyStatus
	for _, k := range ring.Keys {
		out = append(out, v1alpha1.KeyStatus{
			ID: k.ID, Algorithm: v1alpha1.Algorithm(k.Algorithm), State: v1alpha1.KeyState(k.State),
			CreatedAt: kube.Instant(k.CreatedAt), PublishedAt: kube.Instant(k.PublishedAt), ActivatedAt: kube.Instant(k.ActivatedAt),
			RetiredAt: kube.Instant(k.RetiredAt), RemoveAfter: kube.Instant(k.RemoveAfter()),
		})
	}
	for _, d := range ring.Denied {
		out = append(out, v1alpha1.KeyStatus{
			ID: d.ID, Algorithm: v1alpha1.Algorithm(d.Algorithm), State: v1alpha1.KeyRevoked,
			CreatedAt: kube.Instant(d.CreatedAt), RetiredAt: kube.Instant(d.RevokedAt), RemoveAfter: kube.Instant(d.Until),
		})
	}
	return out
}

// note logs and counts what has happened to keys.
func note(ctx context.Context, happened []rotation.Transition) {
	for _, t := range happened {
		transitions.WithLabelValues(string(t.Change)).Inc()
		log.FromContext(ctx).Info("key changed", "transition", t.Change, "keyID", t.KeyID, "algorithm", t.Algorithm)
	}
}

func eventReason(c rotation.Change) string {
	switch c {
	case rotation.Generated:
		return v1alpha1.ReasonKeyGenerated
	case rotation.Published, rotation.Unpublished:
		return v1alpha1.ReasonKeyPublished
	case rotation.Activated:
		return v1alpha1.ReasonKeyActivated
	case rotation.RetiredNow:
		return v1alpha1.ReasonKeyRetired
	case rotation.Revoked:
		return v1alpha1.ReasonKeyRevoked
	default:
		return v1alpha1.ReasonKeyRemoved
	}
}

func eventNote(t rotation.Transition) string {
	notes := map[rotation.Change]string{
		rotation.Generated:   "%s key %s was generated",
		rotation.Published:   "%s key %s was seen in every copy of the JWKS: its wait begins",
		rotation.Unpublished: "%s key %s was missing from a copy of the JWKS: its wait begins again",
		rotation.Activated:   "%s key %s signs from now on",
		rotation.RetiredNow:  "%s key %s signs no more: its private half is destroyed, its public half stays published",
		rotation.Revoked:     "%s key %s was revoked: it is in no JWKS any more",
		rotation.Removed:     "%s key %s left the JWKS: every token it signed has expired",
		rotation.Discarded:   "%s key %s had not signed and gave way to a key of another algorithm",
	}
	return fmt.Sprintf(notes[t.Change], t.Algorithm, t.KeyID)
}
