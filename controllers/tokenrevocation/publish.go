package tokenrevocation

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// errCacheFollows is a conflict: the cache does not show yet what this controller has written.
func errCacheFollows(list *corev1.ConfigMap) error {
	return apierrors.NewConflict(corev1.Resource("configmaps"), list.Name, fmt.Errorf("the cache does not show the last write yet"))
}

// publish writes the ConfigMap if it is not what it shall be. It is there also while nothing is revoked, so that Pods can mount it before
// something is. That of a SigningKey that is no more is for the garbage collector.
func (r *Reconciler) publish(ctx context.Context, w *world) error {
	if !w.isPublishable() {
		return nil
	}
	if w.list != nil {
		if _, _, behind := r.lists.NewerThan(w.list); behind {
			return errCacheFollows(w.list)
		}
		if err := r.confirm(ctx, w); err != nil {
			return err
		}
	}
	want := w.desired()
	if w.list != nil && upToDate(w.list, want) {
		return nil
	}
	// What somebody else has put there since is never written over.
	want.WithResourceVersion(kube.Absent)
	if w.list != nil {
		want.WithUID(w.list.UID).WithResourceVersion(w.list.ResourceVersion)
	}
	err := r.Client.Apply(ctx, want, fieldOwner, client.ForceOwnership)
	switch {
	case err == nil:
		r.lists.Remember(*want.UID, *want.ResourceVersion, struct{}{})
		return nil
	case kube.IsGoing(err):
		return nil
	case kube.IsRefused(err):
		w.retry = true
		w.problem = kube.Problemf(v1alpha1.ReasonConfigMapConflict,
			"ConfigMap %s cannot be written (%s): if it is immutable, delete it", *want.Name, apierrors.ReasonForError(err))
		return nil
	default:
		return fmt.Errorf("write deny list: %w", err)
	}
}

func (w *world) isPublishable() bool {
	return w.key != nil && w.problem == nil && w.key.DeletionTimestamp.IsZero()
}

// confirm asks the API server before something is taken off the list: the caches of a leader that was frozen catch up one after the other, and
// that of the ConfigMap can be ahead of that of the TokenRevocations.
func (r *Reconciler) confirm(ctx context.Context, w *world) error {
	published := w.list.Data[v1alpha1.ConfigMapKeyRevocations]
	if published == w.plan.document || !takesBack(published, w.plan.document, r.Clock.Now()) {
		return nil
	}
	live := denylist.Source{Reader: r.Live, Ring: r.Rings.Confirmed, Operator: r.Operator}
	parts, err := live.Gather(ctx, w.key)
	if err != nil {
		return err
	}
	w.parts = parts
	w.plan, err = decide(w.issuer, parts, r.Clock.Now())
	return err
}

func (w *world) desired() *corev1ac.ConfigMapApplyConfiguration {
	name := spec.DenyListName(w.name)
	return corev1ac.ConfigMap(name.Name, name.Namespace).
		WithLabels(map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelSigningKey: w.name.Name, v1alpha1.LabelSigningKeyNamespace: w.name.Namespace,
		}).
		WithData(map[string]string{v1alpha1.ConfigMapKeyRevocations: w.plan.document}).
		WithOwnerReferences(kube.OwnedBy(w.key, ownerKind))
}

func upToDate(have *corev1.ConfigMap, want *corev1ac.ConfigMapApplyConfiguration) bool {
	for k, v := range want.Labels {
		if have.Labels[k] != v {
			return false
		}
	}
	owner := metav1.GetControllerOf(have)
	return have.Data[v1alpha1.ConfigMapKeyRevocations] == want.Data[v1alpha1.ConfigMapKeyRevocations] &&
		owner != nil && owner.UID == *want.OwnerReferences[0].UID
}
