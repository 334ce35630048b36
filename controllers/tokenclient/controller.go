// Package tokenclient keeps each TokenClient's client secret, and says whether the client can ask for tokens.
//
// A reconcile reads in this order: observe.go gathers the world, decide.go decides, secret.go acts, report.go writes the status
// and the events. Who proves clients is internal/clientauth.
package tokenclient

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// fieldOwner owns every field this controller applies.
const fieldOwner = client.FieldOwner("keyturn-tokenclient")

// kind is the kind this controller owns objects for.
const kind = "TokenClient"

// Reconciler reconciles TokenClients.
type Reconciler struct {
	// Client reads from caches that select by Keyturn's label.
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Rings    *ringstore.Store
	Operator spec.Operator
	Permit   *permit.Checker
	// ServesHTTPS says that the operator has token endpoints.
	ServesHTTPS bool
	// Workers is how many TokenClients are reconciled at once.
	Workers int
	// Wake, if set, makes the controller look again at the objects that are sent.
	Wake source.Source

	statuses kube.Written[v1alpha1.TokenClientStatus]
	secrets  kube.Written[struct{}]
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	asked := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).
		Named("tokenclient").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Workers}).
		For(&v1alpha1.TokenClient{}, builder.WithPredicates(asked)).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.clientsOfSecret)).
		Watches(&v1alpha1.SigningKey{}, handler.EnqueueRequestsFromMapFunc(r.clientsOfKey),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(namespace, handler.EnqueueRequestsFromMapFunc(r.clientsIn), builder.OnlyMetadata,
			builder.WithPredicates(predicate.LabelChangedPredicate{}))
	if r.Wake != nil {
		b = b.WatchesRawSource(r.Wake)
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("set up tokenclient controller: %w", err)
	}
	return nil
}

// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenclients,verbs=get;list;watch
// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenclients/status,verbs=patch
// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile brings one TokenClient's Secret and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	c := &v1alpha1.TokenClient{}
	if err := r.Client.Get(ctx, req.NamespacedName, c); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil // The garbage collector removes the Secret.
		}
		return ctrl.Result{}, fmt.Errorf("read TokenClient: %w", err)
	}
	if !c.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	w, err := r.keep(ctx, c)
	if reportErr := r.report(ctx, w, err); reportErr != nil {
		err = reportErr
	}
	return r.requeue(w, err)
}

// keep observes, decides and acts. It returns what keeps the client from asking for tokens.
func (r *Reconciler) keep(ctx context.Context, c *v1alpha1.TokenClient) (*world, error) {
	w := &world{object: c}
	if err := r.observe(ctx, w); err != nil {
		return w, err
	}
	if err := r.removeLeftovers(ctx, w); err != nil {
		return w, err
	}
	if err := r.keepSecret(ctx, w); err != nil {
		return w, err
	}
	return w, w.problem
}

// retryBlocked is how often something in the way that no cache tells of is looked at again.
const retryBlocked = 30 * time.Second

// requeue is when to look again: exactly when the previous client secret ends, or soon while a foreign Secret is in the way.
func (r *Reconciler) requeue(w *world, err error) (ctrl.Result, error) {
	if kube.IsOvertaken(err) || errors.Is(err, errCacheFollows) {
		return ctrl.Result{RequeueAfter: kube.RetryConflict}, nil
	}
	if problem := new(kube.ProblemError); err != nil && !errors.As(err, &problem) {
		return ctrl.Result{}, err
	}
	var wait time.Duration
	if !w.next.IsZero() {
		wait = max(w.next.Sub(r.Clock.Now()), time.Millisecond)
	}
	if w.retry && (wait == 0 || wait > retryBlocked) {
		wait = retryBlocked
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}
