package tokenrevocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	applyv1alpha1 "github.com/keyturn/keyturn/api/v1alpha1/applyconfiguration/api/v1alpha1"
	domain "github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/kube"
)

// report writes the status of each TokenRevocation, if it changed, and then sends its event. One that cannot be written does not keep the
// others from being told.
func (r *Reconciler) report(ctx context.Context, w *world) error {
	var errs []error
	for i, revocation := range w.parts.Revocations {
		errs = append(errs, r.reportOne(ctx, revocation.Object, w.judge(i), w.describe(i)))
	}
	return errors.Join(errs...)
}

// judge is what keeps a TokenRevocation from being Ready; nil if nothing does.
func (w *world) judge(i int) error {
	switch {
	case w.plan.over != nil && w.plan.over[i]:
		return w.untold[w.parts.Revocations[i].Object.UID]
	case w.problem != nil:
		return w.problem
	case w.plan.unpublished[i]:
		return kube.Problemf(v1alpha1.ReasonDenyListFull, "the ConfigMap has no room for it: %d entries or %d KiB are the most; what asks no "+
			"ConfigMap, such as the gate, introspection and admission, refuses the tokens all the same: delete TokenRevocations, or revoke a subject, "+
			"a client or everything in their place", domain.MaxEntries, domain.MaxBytes>>10)
	default:
		return w.untold[w.parts.Revocations[i].Object.UID]
	}
}

// describe is the status of a TokenRevocation for which there is nothing to mend.
func (w *world) describe(i int) func(*v1alpha1.TokenRevocation) (reason, message string) {
	e, over := w.parts.Revocations[i].Entry, w.plan.over != nil && w.plan.over[i]
	return func(of *v1alpha1.TokenRevocation) (reason, message string) {
		of.Status.IssuedBefore = kube.Instant(e.IssuedBefore)
		of.Status.ExpiresAt = nil
		if w.key != nil {
			of.Status.ExpiresAt = kube.Instant(e.Until)
		}
		if over {
			return v1alpha1.ReasonExpired, "the last token that it concerns has expired: it can be deleted"
		}
		return v1alpha1.ReasonRevoked, "the tokens are taken back: " + meaning(e)
	}
}

// meaning says which tokens an entry takes back.
func meaning(e domain.Entry) string {
	before := "issued before " + e.IssuedBefore.UTC().Format(time.RFC3339)
	switch e.Kind {
	case domain.TokenID:
		return "the one with this ID"
	case domain.Subject:
		return "those of the subject " + before
	case domain.ClientID:
		return "those of the client " + before
	case domain.KeyID:
		return "those that the key has signed, " + before
	default:
		return "all of the issuer " + before
	}
}

func (r *Reconciler) reportOne(
	ctx context.Context, revocation *v1alpha1.TokenRevocation, problem error, describe func(*v1alpha1.TokenRevocation) (reason, message string),
) error {
	before := revocation.DeepCopy()
	if last, version, ok := r.statuses.NewerThan(before); ok {
		before.Status, before.ResourceVersion = last, version
	}
	after := before.DeepCopy()
	reason, message := describe(after)
	ready := kube.True(v1alpha1.ConditionReady, reason, message, after.Generation)
	if problem != nil {
		ready = kube.False(v1alpha1.ConditionReady, kube.ReasonOf(problem), kube.MessageOf(problem), after.Generation)
	}
	after.Status.ObservedGeneration = after.Generation
	kube.Condition(&after.Status.Conditions, ready, r.Clock.Now())
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	if err := r.applyStatus(ctx, before, &after.Status); err != nil {
		return err
	}
	if kube.IsNews(before.Status.Conditions, after.Status.Conditions, v1alpha1.ConditionReady) {
		r.announce(ctx, before, ready)
	}
	return nil
}

func (r *Reconciler) announce(ctx context.Context, revocation *v1alpha1.TokenRevocation, ready metav1.Condition) {
	kind := corev1.EventTypeNormal
	if ready.Status != metav1.ConditionTrue {
		kind = corev1.EventTypeWarning
	}
	if ready.Reason == v1alpha1.ReasonRevoked {
		applied.WithLabelValues(by(&revocation.Spec)).Inc()
	}
	log.FromContext(ctx).Info("revocation", "tokenRevocation", revocation.Name, "reason", ready.Reason, "by", by(&revocation.Spec))
	r.Recorder.Eventf(revocation, nil, kind, ready.Reason, "Revoke", "%s", kube.Note(ready.Message))
}

func (r *Reconciler) applyStatus(ctx context.Context, revocation *v1alpha1.TokenRevocation, status *v1alpha1.TokenRevocationStatus) error {
	wanted, err := kube.Convert[applyv1alpha1.TokenRevocationStatusApplyConfiguration](status)
	if err != nil {
		return err
	}
	object := applyv1alpha1.TokenRevocation(revocation.Name, revocation.Namespace).WithUID(revocation.UID).WithStatus(wanted)
	err = kube.WriteOver(revocation.ResourceVersion, func(version string) error {
		return r.Client.Status().Apply(ctx, object.WithResourceVersion(version), fieldOwner, client.ForceOwnership)
	}, func() (string, bool, error) {
		now := &v1alpha1.TokenRevocation{}
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(revocation), now)
		return now.ResourceVersion, equality.Semantic.DeepEqual(now.Status, revocation.Status), err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("write status: %w", err)
	}
	r.statuses.Remember(revocation.UID, *object.ResourceVersion, *status)
	return nil
}
