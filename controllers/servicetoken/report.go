package servicetoken

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

// report writes the status once, if it changed, and then sends the events.
func (r *Reconciler) report(ctx context.Context, w *world, problem error) error {
	if kube.IsOvertaken(problem) || errors.Is(problem, errRingFollows) || errors.Is(problem, errCacheFollows) || errors.Is(problem, errTooEarly) {
		return nil // The next pass sees what somebody else did, or is about to do.
	}
	status := w.object.Status.DeepCopy()
	r.describe(w, status, problem)
	if !equality.Semantic.DeepEqual(status, &w.object.Status) {
		if err := r.writeStatus(ctx, w.object, status); err != nil {
			return err
		}
	}
	if w.cause != "" {
		log.FromContext(ctx).V(1).Info("token issued", "cause", w.cause, "tokenID", w.says.ID, "keyID", w.says.KeyID, "expires", w.says.Expiry)
		r.Recorder.Eventf(w.object, nil, corev1.EventTypeNormal, v1alpha1.ReasonIssued, "Issue",
			"token %s was issued with key %s: %s", w.says.ID, w.says.KeyID, w.cause.Words())
	}
	if w.withdrawn {
		log.FromContext(ctx).Info("token withdrawn", "because", kube.MessageOf(problem))
		r.Recorder.Eventf(w.object, nil, corev1.EventTypeNormal, v1alpha1.ReasonWithdrawn, "Withdraw", "%s", kube.MessageOf(problem))
	} else if problem != nil && kube.IsNews(w.object.Status.Conditions, status.Conditions, v1alpha1.ConditionReady) {
		log.FromContext(ctx).Info("not ready", "reason", kube.ReasonOf(problem), "message", kube.MessageOf(problem))
		r.Recorder.Eventf(w.object, nil, corev1.EventTypeWarning, kube.ReasonOf(problem), "Report", "%s", kube.Note(kube.MessageOf(problem)))
	}
	return nil
}

func (r *Reconciler) writeStatus(ctx context.Context, t *v1alpha1.ServiceToken, status *v1alpha1.ServiceTokenStatus) error {
	written := &v1alpha1.ServiceToken{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}}
	err := kube.WriteOver(t.ResourceVersion, func(version string) error {
		patch, err := kube.StatusPatch(version, t.Status, status)
		if err != nil {
			return err
		}
		return r.Client.Status().Patch(ctx, written, patch, fieldOwner)
	}, func() (string, bool, error) {
		now := &v1alpha1.ServiceToken{}
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(t), now)
		return now.ResourceVersion, equality.Semantic.DeepEqual(now.Status, t.Status), err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("write status: %w", err)
	}
	r.statuses.Remember(t.UID, written.ResourceVersion, *status)
	return nil
}

func (r *Reconciler) describe(w *world, status *v1alpha1.ServiceTokenStatus, problem error) {
	generation := w.object.Generation
	status.ObservedGeneration = generation
	ready := kube.True(v1alpha1.ConditionReady, v1alpha1.ReasonIssued, "the Secret holds a valid token", generation)
	if problem != nil {
		ready = kube.False(v1alpha1.ConditionReady, kube.ReasonOf(problem), kube.MessageOf(problem), generation)
	}
	kube.Condition(&status.Conditions, ready, r.Clock.Now())
	status.NextRenewalTime = kube.Instant(w.next)
	if !w.read {
		return
	}
	if w.says == nil {
		status.KeyID, status.TokenID, status.IssuedAt, status.ExpiresAt = "", "", nil, nil
		return
	}
	status.KeyID, status.TokenID = w.says.KeyID, w.says.ID
	status.IssuedAt, status.ExpiresAt = kube.Instant(w.says.IssuedAt), kube.Instant(w.says.Expiry)
}
