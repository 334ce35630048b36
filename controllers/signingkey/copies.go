package signingkey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// copiesOf selects the ConfigMaps of one SigningKey.
func copiesOf(key types.NamespacedName) client.MatchingLabels {
	return client.MatchingLabels{
		v1alpha1.LabelManagedBy:           v1alpha1.ManagedBy,
		v1alpha1.LabelSigningKey:          key.Name,
		v1alpha1.LabelSigningKeyNamespace: key.Namespace,
	}
}

// errStaleRing is a conflict: a copy was made from a newer ring than the one at hand.
var errStaleRing = apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "", errors.New("a copy of the JWKS is newer than the ring at hand"))

// isCopy says whether a ConfigMap with our labels is shaped like a copy, so that it may be removed: labels alone are
// copied easily.
func isCopy(cm *corev1.ConfigMap) bool {
	owner := metav1.GetControllerOf(cm)
	_, jwks := cm.Data[v1alpha1.ConfigMapKeyJWKS]
	_, issuer := cm.Data[v1alpha1.ConfigMapKeyIssuer]
	return generationOf(cm) > 0 && jwks && issuer && len(cm.Data) == 2 && len(cm.BinaryData) == 0 &&
		(owner == nil || owner.Kind == kind && owner.APIVersion == v1alpha1.GroupVersion.String())
}

// generationOf is the generation of the ring that a copy was made from; zero if it does not say.
func generationOf(cm *corev1.ConfigMap) int64 {
	n, err := strconv.ParseInt(cm.Annotations[v1alpha1.AnnotationRingGeneration], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// confirmMissing reads from the API server each copy that the cache shows without a key that was published before: a
// lagging cache must not restart the wait, a copy that was really rolled back must.
func (r *Reconciler) confirmMissing(ctx context.Context, w *world) error {
	seen := w.seen()
	for _, key := range w.ring.Ring().Keys {
		if key.State != rotation.Pending || key.PublishedAt.IsZero() || seen[key.ID] != rotation.Missing {
			continue
		}
		for _, ns := range slices.Sorted(maps.Keys(w.copies)) {
			fresh := &corev1.ConfigMap{}
			err := r.Live.Get(ctx, client.ObjectKeyFromObject(w.copies[ns]), fresh)
			switch {
			case apierrors.IsNotFound(err):
				delete(w.copies, ns)
			case err != nil:
				return fmt.Errorf("read JWKS ConfigMap in %s: %w", ns, err)
			default:
				w.copies[ns] = fresh
			}
		}
		return nil
	}
	return nil
}

// publish writes every copy that is not what it shall be, and removes those that shall not be. A copy that cannot be
// written does not keep the others from being written.
func (r *Reconciler) publish(ctx context.Context, w *world) error {
	set, err := w.ring.Public().JSON()
	if err != nil {
		return err
	}
	var errs []error
	for _, ns := range w.targets {
		if err := r.publishIn(ctx, w, ns, string(set)); err != nil {
			errs = append(errs, err)
		}
	}
	for _, cm := range w.stray {
		// A copy under an earlier name stays until the one under the new name is there.
		if w.copies[cm.Namespace] == nil && slices.Contains(w.targets, cm.Namespace) {
			continue
		}
		unwanted, err := r.isUnwanted(ctx, w, cm)
		if err == nil && unwanted {
			err = r.remove(ctx, cm)
		}
		errs = append(errs, err)
	}
	blockedCopies.WithLabelValues(w.key.Namespace, w.key.Name).Set(float64(len(w.blocked)))
	return errors.Join(errs...)
}

// isUnwanted asks the API server whether a stray copy is one by the present SigningKey and labels of its namespace: the caches
// of a leader that was frozen catch up one after the other, and what they do not show yet will cause another pass.
func (r *Reconciler) isUnwanted(ctx context.Context, w *world, cm *corev1.ConfigMap) (bool, error) {
	key := &v1alpha1.SigningKey{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(w.key), key)
	if err != nil || key.UID != w.key.UID || key.Generation != w.key.Generation {
		return false, client.IgnoreNotFound(err)
	}
	if slices.Contains(w.targets, cm.Namespace) || key.Spec.JWKS.Namespaces == nil {
		return true, nil
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Live.Get(ctx, client.ObjectKey{Name: cm.Namespace}, namespace); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	chosen, err := spec.Selects(key.Spec.JWKS.Namespaces, spec.Namespace{Name: namespace.Name, Labels: namespace.Labels})
	return !chosen, err
}

func (r *Reconciler) publishIn(ctx context.Context, w *world, ns, set string) error {
	want := w.desired(ns, set)
	have := w.copies[ns]
	delete(w.blocked, ns)
	if have == nil {
		found := &corev1.ConfigMap{}
		name := client.ObjectKey{Namespace: ns, Name: *want.Name}
		exists, err := kube.Get(ctx, r.Live, r.Live, name, found)
		if err != nil {
			return err
		}
		if exists && !w.ownsCopy(found) {
			w.blocked[ns] = "a ConfigMap of that name belongs to somebody else: delete it, or set spec.jwks.name"
			return nil
		}
		if exists {
			have = found
		}
	}
	// What somebody else has put there since is never written over: it may be somebody else's, or a newer set.
	if have == nil {
		return r.applyCopy(ctx, w, ns, want.WithResourceVersion(kube.Absent))
	}
	if generationOf(have) > w.ring.Ring().Generation {
		if err := r.confirmRing(ctx, w); err != nil {
			return err
		}
	} else if upToDate(have, want) && w.key.Status.ObservedGeneration == w.key.Generation {
		w.copies[ns] = have
		return nil
	}
	return r.applyCopy(ctx, w, ns, want.WithUID(have.UID).WithResourceVersion(have.ResourceVersion))
}

// confirmRing asks the API server whether the ring at hand is still the one in force. Of a copy that says it was made from a
// newer ring, it tells a forged one from that of a successor.
func (r *Reconciler) confirmRing(ctx context.Context, w *world) error {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(w.secret), secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read ring Secret: %w", err)
	}
	if err != nil || secret.ResourceVersion != w.secret.ResourceVersion {
		return errStaleRing
	}
	return nil
}

func (r *Reconciler) applyCopy(ctx context.Context, w *world, ns string, want *corev1ac.ConfigMapApplyConfiguration) error {
	err := r.Client.Apply(ctx, want, fieldOwner, client.ForceOwnership)
	switch {
	case err == nil:
		// Apply has filled in what the server answered.
		written, err := kube.Convert[corev1.ConfigMap](want)
		w.copies[ns] = written
		return err
	case kube.IsGoing(err) && ns != w.key.Namespace:
		return nil
	case kube.IsRefused(err):
		w.blocked[ns] = fmt.Sprintf("the API server refuses it (%s)", reason(err))
		return nil
	default:
		return fmt.Errorf("write JWKS ConfigMap in %s: %w", ns, err)
	}
}

// ownsCopy says whether a ConfigMap is one of this SigningKey's: in its own namespace by its owner, elsewhere, where an
// owner cannot be named, by its labels.
func (w *world) ownsCopy(cm *corev1.ConfigMap) bool {
	if cm.Namespace == w.key.Namespace && kube.Owns(w.key, kind, cm) {
		return true
	}
	name, ok := spec.KeyOf(cm)
	return ok && name == client.ObjectKeyFromObject(w.key) && cm.Namespace != w.key.Namespace
}

func (w *world) desired(ns, set string) *corev1ac.ConfigMapApplyConfiguration {
	labels, annotations := map[string]string{}, map[string]string{}
	for k, v := range w.key.Spec.JWKS.Labels {
		labels[k] = string(v)
	}
	for k, v := range w.key.Spec.JWKS.Annotations {
		annotations[k] = string(v)
	}
	annotations[v1alpha1.AnnotationRingGeneration] = strconv.FormatInt(w.ring.Ring().Generation, 10)
	cm := corev1ac.ConfigMap(spec.JWKSName(w.key), ns).
		WithLabels(with(labels, ownLabels(w.key))).
		WithAnnotations(annotations).
		WithData(map[string]string{v1alpha1.ConfigMapKeyJWKS: set, v1alpha1.ConfigMapKeyIssuer: w.issuer})
	if ns == w.key.Namespace {
		cm.WithOwnerReferences(kube.OwnedBy(w.key, kind))
	}
	return cm
}

// upToDate says whether a copy holds all that it shall. What it holds beyond that, because an earlier spec asked for it,
// is taken away when a new generation of the spec is first seen. The generation it names may be older: it is written anew only
// together with something that readers see.
func upToDate(have *corev1.ConfigMap, want *corev1ac.ConfigMapApplyConfiguration) bool {
	for k, v := range want.Data {
		if have.Data[k] != v {
			return false
		}
	}
	for k, v := range want.Labels {
		if have.Labels[k] != v {
			return false
		}
	}
	for k, v := range want.Annotations {
		if have.Annotations[k] != v && k != v1alpha1.AnnotationRingGeneration {
			return false
		}
	}
	return len(have.Data) == len(want.Data) && len(have.BinaryData) == 0 && len(have.OwnerReferences) >= len(want.OwnerReferences)
}

// withdrawCopies removes every copy of a SigningKey that is no more. Those in other namespaces have no owner that the
// garbage collector could follow.
func (r *Reconciler) withdrawCopies(ctx context.Context, key types.NamespacedName) error {
	var list corev1.ConfigMapList
	if err := r.Client.List(ctx, &list, copiesOf(key)); err != nil {
		return fmt.Errorf("list JWKS ConfigMaps: %w", err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	// The cache that lacks the SigningKey may be behind the one that shows its copies.
	if there, err := kube.Get(ctx, r.Live, r.Live, key, &v1alpha1.SigningKey{}); err != nil || there {
		return err
	}
	var errs []error
	for i := range list.Items {
		if isCopy(&list.Items[i]) {
			errs = append(errs, r.remove(ctx, &list.Items[i]))
		}
	}
	return errors.Join(errs...)
}

// remove leaves a copy alone that has changed since: the change causes another pass. Anybody can mark a ConfigMap as a copy and
// change it all the time, and that must not keep the SigningKey's own pass from its end.
func (r *Reconciler) remove(ctx context.Context, cm *corev1.ConfigMap) error {
	err := r.Client.Delete(ctx, cm, client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion})
	if err := client.IgnoreNotFound(err); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("remove JWKS ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	return nil
}
