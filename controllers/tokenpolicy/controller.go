// Package tokenpolicy says of each TokenPolicy whether it can be evaluated, and whether the keys of its issuers are at hand.
//
// The gate judges requests on every replica, without this controller. What is reported is what the gate of the replica that leads
// knows.
package tokenpolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/gate"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// fieldOwner owns every field this controller applies.
const fieldOwner = client.FieldOwner("keyturn-tokenpolicy")

// Assessor is the gate of this replica.
type Assessor interface {
	// Assess is [gate.Directory.Assess].
	Assess(ctx context.Context, policy *v1alpha1.TokenPolicy) error
}

// Reconciler reconciles TokenPolicies.
type Reconciler struct {
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Gate     Assessor
	// Workers is how many TokenPolicies are reconciled at once.
	Workers int

	statuses kube.Written[v1alpha1.TokenPolicyStatus]
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("tokenpolicy").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Workers}).
		For(&v1alpha1.TokenPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.SigningKey{}, handler.EnqueueRequestsFromMapFunc(r.policiesOf)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up tokenpolicy controller: %w", err)
	}
	return nil
}

// policiesOf are the TokenPolicies that accept the tokens of a SigningKey.
func (r *Reconciler) policiesOf(ctx context.Context, key client.Object) []ctrl.Request {
	var list v1alpha1.TokenPolicyList
	if err := r.Client.List(ctx, &list, client.MatchingFields{spec.IndexSigningKey: client.ObjectKeyFromObject(key).String()}); err != nil {
		return nil
	}
	requests := make([]ctrl.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=keyturn.dev,resources=tokenpolicies/status,verbs=patch
// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// How soon to look again. Keys come and go without an event that this controller sees, and a look that finds nothing new writes
// nothing.
const (
	whileReady    = time.Minute
	whileNotReady = 5 * time.Second
)

// Reconcile brings the status of one TokenPolicy up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.TokenPolicy{}
	if err := r.Client.Get(ctx, req.NamespacedName, policy); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("read TokenPolicy: %w", err)
	}
	if !policy.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	problem := r.Gate.Assess(ctx, policy)
	if errors.Is(problem, gate.ErrFollows) {
		return ctrl.Result{RequeueAfter: kube.RetryConflict}, nil
	}
	if err := r.report(ctx, policy, problem); kube.IsOvertaken(err) {
		return ctrl.Result{RequeueAfter: kube.RetryConflict}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	if problem == nil {
		return ctrl.Result{RequeueAfter: whileReady}, nil
	}
	return ctrl.Result{RequeueAfter: whileNotReady}, nil
}
