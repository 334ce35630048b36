// Package signingkey keeps each SigningKey's ring of keys: it rotates the ring in its Secret, publishes the public half
// in ConfigMaps, and reports.
//
// A reconcile reads in this order: observe.go gathers the world, internal/domain/rotation decides, ring.go and
// copies.go act, report.go writes the status and the events.
package signingkey

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/spec"
)

// fieldOwner owns every field this controller applies.
const fieldOwner = client.FieldOwner("keyturn-signingkey")

// kind is the kind this controller owns objects for.
const kind = "SigningKey"

// Reconciler reconciles SigningKeys.
type Reconciler struct {
	// Client reads from caches that select by Keyturn's label.
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Operator spec.Operator
	Permit   *permit.Checker
	// Workers is how many SigningKeys are reconciled at once.
	Workers int
	// Wake, if set, makes the controller look again at the objects that are sent.
	Wake source.Source

	statuses kube.Written[v1alpha1.SigningKeyStatus]
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	b := ctrl.NewControllerManagedBy(mgr).
		Named("signingkey").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Workers}).
		For(&v1alpha1.SigningKey{}, builder.WithPredicates(predicate.Or[client.Object](
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Owns(&corev1.Secret{}).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.keyOfCopy)).
		Watches(namespace, handler.EnqueueRequestsFromMapFunc(r.keysWithCopies), builder.OnlyMetadata).
		Watches(&v1alpha1.SigningKey{}, handler.EnqueueRequestsFromMapFunc(r.rivals))
	if r.Wake != nil {
		b = b.WatchesRawSource(r.Wake)
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("set up signingkey controller: %w", err)
	}
	return nil
}

// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys,verbs=get;list;watch
// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile brings one SigningKey's ring, copies and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := &v1alpha1.SigningKey{}
	if err := r.Client.Get(ctx, req.NamespacedName, key); err != nil {
		if apierrors.IsNotFound(err) {
			blockedCopies.DeleteLabelValues(req.Namespace, req.Name)
			return ctrl.Result{}, r.withdrawCopies(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, fmt.Errorf("read SigningKey: %w", err)
	}
	if !key.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	world, err := r.turn(ctx, key)
	if reportErr := r.report(ctx, world, err); reportErr != nil {
		err = reportErr
	}
	return r.requeue(world, err)
}

// requeue is when to look again: exactly when time alone changes the ring, or soon while a copy is blocked.
func (r *Reconciler) requeue(w *world, err error) (ctrl.Result, error) {
	if kube.IsOvertaken(err) {
		return ctrl.Result{RequeueAfter: kube.RetryConflict}, nil
	}
	if err != nil && !isProblem(err) {
		return ctrl.Result{}, err
	}
	var wait time.Duration
	if !w.outcome.Next.IsZero() {
		wait = max(w.outcome.Next.Sub(r.Clock.Now()), time.Millisecond)
	}
	// What blocks a copy or a Secret is often not in the caches, so nothing tells when it goes away.
	if len(w.blocked) > 0 || isForeign(err) {
		wait = shortest(wait, retryBlocked)
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// retryBlocked is how often a foreign object that is in the way is looked at again.
const retryBlocked = 30 * time.Second

func shortest(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// keyOfCopy is the SigningKey that a ConfigMap is marked with. Whoever may write one can name any namespace.
func (r *Reconciler) keyOfCopy(_ context.Context, object client.Object) []ctrl.Request {
	if name, ok := spec.KeyOf(object); ok && r.Operator.Watches(name.Namespace) {
		return []ctrl.Request{{NamespacedName: name}}
	}
	return nil
}

// keysWithCopies are the SigningKeys that a change of a namespace can concern.
func (r *Reconciler) keysWithCopies(ctx context.Context, _ client.Object) []ctrl.Request {
	var keys v1alpha1.SigningKeyList
	if err := r.Client.List(ctx, &keys); err != nil {
		return nil
	}
	var requests []ctrl.Request
	for i := range keys.Items {
		if keys.Items[i].Spec.JWKS.Namespaces != nil {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&keys.Items[i])})
		}
	}
	return requests
}

// rivals are the other SigningKeys that claim the issuer of one that came or went.
func (r *Reconciler) rivals(ctx context.Context, object client.Object) []ctrl.Request {
	key, ok := object.(*v1alpha1.SigningKey)
	if !ok {
		return nil
	}
	others, err := r.claimants(ctx, key)
	if err != nil {
		return nil
	}
	var requests []ctrl.Request
	for i := range others {
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: others[i].Namespace, Name: others[i].Name}})
	}
	return requests
}
