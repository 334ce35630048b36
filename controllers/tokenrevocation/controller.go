// Package tokenrevocation publishes the deny list of each SigningKey and says of each TokenRevocation what became of it.
//
// A reconcile is of a SigningKey, whether it is there or not, and of all TokenRevocations that name it: together they are one list. It reads
// in this order: observe.go gathers the world, decide.go decides, publish.go and families.go act, report.go writes the statuses and the
// events. What judges tokens inside the operator does not wait for it: see internal/denylist.
package tokenrevocation

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// fieldOwner owns every field this controller applies.
const fieldOwner = client.FieldOwner("keyturn-tokenrevocation")

// ownerKind is the kind that owns the ConfigMaps of this controller.
const ownerKind = "SigningKey"

// Reconciler reconciles the TokenRevocations of SigningKeys.
type Reconciler struct {
	// Client reads from caches that select by Keyturn's label, with spec.IndexSigningKey.
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Rings    *ringstore.Store
	Operator spec.Operator
	// Families are the refresh tokens; nil if the operator keeps none.
	Families Families
	// Workers is how many SigningKeys are reconciled at once.
	Workers int
	// Wake, if set, makes the controller look again at the SigningKeys that are sent.
	Wake source.Source

	statuses kube.Written[v1alpha1.TokenRevocationStatus]
	lists    kube.Written[struct{}]

	mu sync.Mutex
	// told are the TokenRevocations, by SigningKey, of which the store of refresh tokens knows.
	told map[types.NamespacedName]map[types.UID]bool
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("tokenrevocation").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Workers}).
		For(&v1alpha1.SigningKey{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.TokenRevocation{}, handler.EnqueueRequestsFromMapFunc(keyOfRevocation),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(keyOfRing)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(keyOfList))
	if r.Wake != nil {
		b = b.WatchesRawSource(r.Wake)
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("set up tokenrevocation controller: %w", err)
	}
	return nil
}

func keyOfRevocation(_ context.Context, object client.Object) []ctrl.Request {
	revocation, ok := object.(*v1alpha1.TokenRevocation)
	if !ok {
		return nil
	}
	return []ctrl.Request{{NamespacedName: spec.RevokedKey(revocation)}}
}

// keyOfRing is the SigningKey of a ring Secret. Marks alone, which anybody can copy, must not make work for another namespace.
func keyOfRing(_ context.Context, object client.Object) []ctrl.Request {
	secret, ok := object.(*corev1.Secret)
	name, marked := spec.KeyOf(object)
	if !ok || !marked || name.Namespace != secret.Namespace || secret.Type != v1alpha1.SecretTypeSigningKey {
		return nil
	}
	return []ctrl.Request{{NamespacedName: name}}
}

// keyOfList is the SigningKey of a ConfigMap that has the name of its deny list.
func keyOfList(_ context.Context, object client.Object) []ctrl.Request {
	name, marked := spec.KeyOf(object)
	if !marked || spec.DenyListName(name) != client.ObjectKeyFromObject(object) {
		return nil
	}
	return []ctrl.Request{{NamespacedName: name}}
}

// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenrevocations,verbs=get;list;watch
// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenrevocations/status,verbs=patch
// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile brings the deny list of one SigningKey, and the statuses of the TokenRevocations that name it, up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	w, err := r.observe(ctx, req.NamespacedName)
	if err != nil {
		return r.requeue(w, err)
	}
	if err := r.publish(ctx, w); err != nil {
		return r.requeue(w, err)
	}
	err = r.revokeFamilies(ctx, w)
	if reportErr := r.report(ctx, w); reportErr != nil {
		err = reportErr
	}
	return r.requeue(w, err)
}

// retryBlocked is how often something in the way that no cache tells of is looked at again.
const retryBlocked = 30 * time.Second

// requeue is when to look again: exactly when the first entry is over, or soon while a foreign ConfigMap is in the way.
func (r *Reconciler) requeue(w *world, err error) (ctrl.Result, error) {
	if kube.IsOvertaken(err) {
		return ctrl.Result{RequeueAfter: kube.RetryConflict}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	var wait time.Duration
	if !w.plan.next.IsZero() {
		wait = max(w.plan.next.Sub(r.Clock.Now()), time.Millisecond)
	}
	if w.retry && (wait == 0 || wait > retryBlocked) {
		wait = retryBlocked
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}
