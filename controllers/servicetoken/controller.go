// Package servicetoken keeps each ServiceToken's Secret filled with a token that verifies now.
//
// A reconcile reads in this order: observe.go gathers the world, internal/domain/token decides, secret.go acts,
// report.go writes the status and the events.
package servicetoken

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// fieldOwner owns every field this controller applies.
const fieldOwner = client.FieldOwner("keyturn-servicetoken")

// kind is the kind this controller owns objects for.
const kind = "ServiceToken"

// Reconciler reconciles ServiceTokens.
type Reconciler struct {
	// Client reads from caches that select by Keyturn's label.
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Rings    *ringstore.Store
	// DenyLists say which tokens were revoked.
	DenyLists *denylist.Lists
	Operator  spec.Operator
	Permit    *permit.Checker
	// Workers is how many ServiceTokens are reconciled at once.
	Workers int
	// Wake, if set, makes the controller look again at the objects that are sent.
	Wake source.Source

	statuses kube.Written[v1alpha1.ServiceTokenStatus]
	secrets  kube.Written[struct{}]
	// taken are the UIDs of new ServiceTokens whose Secret could not be created because there is one.
	taken sync.Map
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	b := ctrl.NewControllerManagedBy(mgr).
		Named("servicetoken").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Workers}).
		For(&v1alpha1.ServiceToken{}, builder.WithPredicates(predicate.GenerationChangedPredicate{}, r.gone())).
		Owns(&corev1.Secret{}, builder.WithPredicates(r.writtenByOthers())).
		Watches(&v1alpha1.SigningKey{}, r.urgentFirst(r.tokensOfKey), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Secret{}, r.urgentFirst(r.tokensOfRing)).
		Watches(&v1alpha1.TokenRevocation{}, r.urgentFirst(r.tokensRevokedBy), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(namespace, handler.EnqueueRequestsFromMapFunc(r.tokensIn), builder.OnlyMetadata,
			builder.WithPredicates(predicate.LabelChangedPredicate{}))
	if r.Wake != nil {
		b = b.WatchesRawSource(r.Wake)
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("set up servicetoken controller: %w", err)
	}
	return nil
}

// +kubebuilder:rbac:groups=keyturn.dev,resources=servicetokens,verbs=get;list;watch
// +kubebuilder:rbac:groups=keyturn.dev,resources=servicetokens/status,verbs=patch
// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys,verbs=get;list;watch
// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenrevocations,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile brings one ServiceToken's Secret and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	t := &v1alpha1.ServiceToken{}
	if err := r.Client.Get(ctx, req.NamespacedName, t); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil // The garbage collector removes the Secret.
		}
		return ctrl.Result{}, fmt.Errorf("read ServiceToken: %w", err)
	}
	if !t.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if last, version, ok := r.statuses.NewerThan(t); ok {
		t.Status, t.ResourceVersion = last, version
	}
	w, err := r.renew(ctx, t)
	if reportErr := r.report(ctx, w, err); reportErr != nil {
		err = reportErr
	}
	return r.requeue(w, err)
}

// retryBlocked is how often something in the way that no cache tells of is looked at again.
const retryBlocked = 30 * time.Second

// requeue is when to look again: exactly when the token is due, or soon while a foreign Secret is in the way.
func (r *Reconciler) requeue(w *world, err error) (ctrl.Result, error) {
	switch {
	case kube.IsOvertaken(err), errors.Is(err, errCacheFollows):
		return ctrl.Result{RequeueAfter: kube.RetryConflict}, nil
	case errors.Is(err, errRingFollows):
		return ctrl.Result{RequeueAfter: retryBlocked, Priority: new(routine)}, nil
	}
	if problem := new(kube.ProblemError); err != nil && !errors.As(err, &problem) && !errors.Is(err, errTooEarly) {
		return ctrl.Result{}, err
	}
	var wait time.Duration
	if !w.next.IsZero() {
		wait = max(w.next.Sub(r.Clock.Now()), time.Millisecond)
	}
	if w.retry && (wait == 0 || wait > retryBlocked) {
		wait = retryBlocked
	}
	// Whatever made this pass urgent, the next one is not.
	return ctrl.Result{RequeueAfter: wait, Priority: new(due)}, nil
}
