package tokenclient

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	applyv1alpha1 "github.com/keyturn/keyturn/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// report writes the status once, if it changed, and then sends the events.
func (r *Reconciler) report(ctx context.Context, w *world, problem error) error {
	if kube.IsOvertaken(problem) || errors.Is(problem, errCacheFollows) {
		return nil // The next pass sees what somebody else did, or is about to do.
	}
	if last, version, ok := r.statuses.NewerThan(w.object); ok {
		w.object = w.object.DeepCopy()
		w.object.Status, w.object.ResourceVersion = last, version
	}
	status := w.object.Status.DeepCopy()
	r.describe(w, status, problem)
	if !equality.Semantic.DeepEqual(status, &w.object.Status) {
		if err := r.applyStatus(ctx, w.object, status); err != nil {
			return err
		}
	}
	r.tell(ctx, w, status, problem)
	return nil
}

// tell sends the events.
func (r *Reconciler) tell(ctx context.Context, w *world, status *v1alpha1.TokenClientStatus, problem error) {
	if w.cause != "" {
		generated.WithLabelValues(string(w.cause)).Inc()
		log.FromContext(ctx).Info("client secret generated", "cause", w.cause, "secret", w.secret.Name)
		severity := corev1.EventTypeNormal
		if w.cause.isLoss() {
			severity = corev1.EventTypeWarning
		}
		r.Recorder.Eventf(w.object, nil, severity, v1alpha1.ReasonClientSecretGenerated, "Generate", "Secret %s: %s", w.secret.Name, w.cause.words())
	}
	if problem != nil && kube.IsNews(w.object.Status.Conditions, status.Conditions, v1alpha1.ConditionReady) {
		log.FromContext(ctx).Info("not ready", "reason", kube.ReasonOf(problem), "message", kube.MessageOf(problem))
		r.Recorder.Eventf(w.object, nil, corev1.EventTypeWarning, kube.ReasonOf(problem), "Report", "%s", kube.Note(kube.MessageOf(problem)))
	}
}

func (r *Reconciler) applyStatus(ctx context.Context, c *v1alpha1.TokenClient, status *v1alpha1.TokenClientStatus) error {
	wanted, err := kube.Convert[applyv1alpha1.TokenClientStatusApplyConfiguration](status)
	if err != nil {
		return err
	}
	object := applyv1alpha1.TokenClient(c.Name, c.Namespace).WithUID(c.UID).WithStatus(wanted)
	err = kube.WriteOver(c.ResourceVersion, func(version string) error {
		return r.Client.Status().Apply(ctx, object.WithResourceVersion(version), fieldOwner, client.ForceOwnership)
	}, func() (string, bool, error) {
		now := &v1alpha1.TokenClient{}
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(c), now)
		return now.ResourceVersion, equality.Semantic.DeepEqual(now.Status, c.Status), err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("write status: %w", err)
	}
	r.statuses.Remember(c.UID, *object.ResourceVersion, *status)
	return nil
}

func (r *Reconciler) describe(w *world, status *v1alpha1.TokenClientStatus, problem error) {
	generation := w.object.Generation
	status.ObservedGeneration = generation
	ready := kube.True(v1alpha1.ConditionReady, v1alpha1.ReasonServing, "the client can ask for tokens", generation)
	if problem != nil {
		ready = kube.False(v1alpha1.ConditionReady, kube.ReasonOf(problem), kube.MessageOf(problem), generation)
	}
	kube.Condition(&status.Conditions, ready, r.Clock.Now())
	status.ClientID = spec.ClientID(w.object.Namespace, w.object.Name)
	if !w.read {
		return
	}
	status.TokenEndpoint = w.endpoint
	status.PreviousSecretExpiresAt = kube.Instant(w.next)
	switch {
	case w.secret != nil:
		status.SecretName = w.secret.Name
	case status.SecretName != spec.ClientSecretName(w.object):
		status.SecretName = "" // Otherwise it stays until there is another: its absence is a loss.
	}
}
