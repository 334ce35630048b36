// Package kube is what every controller needs of Kubernetes: to tell its own objects from foreign ones, to read past a
// cache that selects by label, and to write a status once and only if it changed.
package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Owns says whether an object belongs to that owner: it is controlled by it, or it still carries Keyturn's mark and was
// restored, either together with an earlier owner of the same kind and name, or without any owner and not marked as another
// SigningKey's. Anything else is foreign and never touched.
func Owns(owner client.Object, kind string, object metav1.Object) bool {
	ref := metav1.GetControllerOf(object)
	if ref != nil && ref.UID == owner.GetUID() {
		return true
	}
	if object.GetLabels()[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || object.GetNamespace() != owner.GetNamespace() {
		return false
	}
	if ref == nil {
		return !marksAnother(owner, kind, object.GetLabels())
	}
	return ref.Kind == kind && ref.Name == owner.GetName() && ref.APIVersion == v1alpha1.GroupVersion.String()
}

// marksAnother says whether labels name a SigningKey that is not the owner: a copy of a JWKS has no owner in its namespace,
// where a SigningKey of the same name can live.
func marksAnother(owner client.Object, kind string, labels map[string]string) bool {
	name, named := labels[v1alpha1.LabelSigningKey]
	itself := kind == "SigningKey" && name == owner.GetName() && labels[v1alpha1.LabelSigningKeyNamespace] == owner.GetNamespace()
	return named && !itself
}

// OwnerReference makes an owner the controller of an object, so that the garbage collector removes it with the owner. It
// does not block the owner's deletion: that would need the right to update finalizers where the API server enforces it.
func OwnerReference(owner client.Object, kind string) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: new(true),
	}
}

// OwnedBy is OwnerReference for an apply-configuration.
func OwnedBy(owner client.Object, kind string) *metav1ac.OwnerReferenceApplyConfiguration {
	ref := OwnerReference(owner, kind)
	return metav1ac.OwnerReference().
		WithAPIVersion(ref.APIVersion).WithKind(ref.Kind).WithName(ref.Name).WithUID(ref.UID).WithController(*ref.Controller)
}

// Get reads an object from the cache and, where the cache has none, from the API server: the cache selects by
// Keyturn's label, so a foreign object, or one whose label was removed, is not in it. It returns false if there is none.
func Get(ctx context.Context, cache, live client.Reader, key client.ObjectKey, into client.Object) (bool, error) {
	err := cache.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		err = live.Get(ctx, key, into)
	}
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read %T %s: %w", into, key, err)
	default:
		return true, nil
	}
}

// IsGoing says whether a write failed because its namespace, or the owner, is being deleted: nothing needs to be done.
func IsGoing(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// Absent is the resourceVersion of an object that must not be there yet: an apply under it creates the object, or meets a
// conflict where somebody else has. No object ever has it, because 1 is the revision of an empty store.
const Absent = "1"

// IsOvertaken says whether a write failed because somebody else has written that object first: the next look shows what.
func IsOvertaken(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}

// RetryConflict is how soon to look again after somebody else was faster: the cache shows by then what they did.
const RetryConflict = 200 * time.Millisecond

// IsRefused says whether a write failed in a way that repeating it cannot mend before somebody acts.
func IsRefused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err)
}
