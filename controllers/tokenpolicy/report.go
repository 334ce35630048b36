package tokenpolicy

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	applyv1alpha1 "github.com/keyturn/keyturn/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

// report writes the status once, if it changed, and then sends the event.
func (r *Reconciler) report(ctx context.Context, policy *v1alpha1.TokenPolicy, problem error) error {
	if last, version, ok := r.statuses.NewerThan(policy); ok {
		policy = policy.DeepCopy()
		policy.Status, policy.ResourceVersion = last, version
	}
	status := policy.Status.DeepCopy()
	status.ObservedGeneration = policy.Generation
	ready := kube.True(v1alpha1.ConditionReady, v1alpha1.ReasonKeysAtHand, "the keys of every issuer are at hand", policy.Generation)
	if problem != nil {
		ready = kube.False(v1alpha1.ConditionReady, kube.ReasonOf(problem), kube.MessageOf(problem), policy.Generation)
	}
	kube.Condition(&status.Conditions, ready, r.Clock.Now())
	if equality.Semantic.DeepEqual(status, &policy.Status) {
		return nil
	}
	if err := r.applyStatus(ctx, policy, status); err != nil {
		return err
	}
	if problem != nil && kube.IsNews(policy.Status.Conditions, status.Conditions, v1alpha1.ConditionReady) {
		log.FromContext(ctx).Info("not ready", "reason", kube.ReasonOf(problem), "message", kube.MessageOf(problem))
		r.Recorder.Eventf(policy, nil, corev1.EventTypeWarning, kube.ReasonOf(problem), "Report", "%s", kube.Note(kube.MessageOf(problem)))
	}
	return nil
}

func (r *Reconciler) applyStatus(ctx context.Context, policy *v1alpha1.TokenPolicy, status *v1alpha1.TokenPolicyStatus) error {
	wanted, err := kube.Convert[applyv1alpha1.TokenPolicyStatusApplyConfiguration](status)
	if err != nil {
		return err
	}
	object := applyv1alpha1.TokenPolicy(policy.Name, policy.Namespace).WithUID(policy.UID).WithStatus(wanted)
	err = kube.WriteOver(policy.ResourceVersion, func(version string) error {
		return r.Client.Status().Apply(ctx, object.WithResourceVersion(version), fieldOwner, client.ForceOwnership)
	}, func() (string, bool, error) {
		now := &v1alpha1.TokenPolicy{}
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(policy), now)
		return now.ResourceVersion, equality.Semantic.DeepEqual(now.Status, policy.Status), err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("write status: %w", err)
	}
	r.statuses.Remember(policy.UID, *object.ResourceVersion, *status)
	return nil
}
