package servicetoken

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// The order of work: a token whose key was revoked verifies nowhere until it is re-issued; one that only may have to be
// looked at can wait for those that are due.
const (
	urgent  = 100
	due     = 0
	routine = handler.LowPriority
)

// writtenByOthers leaves out what this controller itself has just written: the pass that wrote it knows when to look again.
func (r *Reconciler) writtenByOthers() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return !r.secrets.Wrote(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return !r.secrets.Wrote(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			r.secrets.Forget(e.Object.GetUID())
			return true
		},
	}
}

// gone forgets what was written of a ServiceToken that is no more.
func (r *Reconciler) gone() predicate.Predicate {
	return predicate.Funcs{DeleteFunc: func(e event.DeleteEvent) bool {
		r.statuses.Forget(e.Object.GetUID())
		r.taken.Delete(e.Object.GetUID())
		return false
	}}
}

// affected are the ServiceTokens that a change of another object can concern.
type affected struct {
	tokens []v1alpha1.ServiceToken
	// revoked are the key IDs that became compromised.
	revoked []string
	// urgent says that all of them are to be looked at first.
	urgent bool
}

// urgentFirst enqueues what a change concerns, tokens of revoked keys ahead of everything else, and then those that are due, each in
// the order in which they expire.
func (r *Reconciler) urgentFirst(find func(context.Context, client.Object) affected) handler.EventHandler {
	enqueue := func(ctx context.Context, object client.Object, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
		found := find(ctx, object)
		slices.SortStableFunc(found.tokens, soonestFirst)
		for i := range found.tokens {
			t := &found.tokens[i]
			request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(t)}
			queue, ok := q.(priorityqueue.PriorityQueue[ctrl.Request])
			if !ok {
				q.Add(request)
				continue
			}
			priority := routine
			switch {
			case found.urgent || slices.Contains(found.revoked, t.Status.KeyID) || t.Status.KeyID == "":
				priority = urgent
			case t.Status.NextRenewalTime != nil && !r.Clock.Now().Before(t.Status.NextRenewalTime.Time):
				priority = due // At its start an operator can find thousands.
			}
			queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			enqueue(ctx, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			enqueue(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			enqueue(ctx, e.Object, q)
		},
	}
}

// soonestFirst orders ServiceTokens by when their token expires; those without one come first.
func soonestFirst(a, b v1alpha1.ServiceToken) int {
	return expiry(a).Compare(expiry(b))
}

func expiry(t v1alpha1.ServiceToken) time.Time {
	if t.Status.ExpiresAt == nil {
		return time.Time{}
	}
	return t.Status.ExpiresAt.Time
}

// tokensOfKey are the tokens of a SigningKey whose spec changed, but for those of a key that it revokes and that the ring has not
// given up yet: before that none can be issued anew, and the ring's Secret tells when.
func (r *Reconciler) tokensOfKey(ctx context.Context, object client.Object) affected {
	key, ok := object.(*v1alpha1.SigningKey)
	if !ok {
		return affected{}
	}
	found := affected{tokens: r.tokensSignedBy(ctx, client.ObjectKeyFromObject(key)), revoked: spec.RevokedKeyIDs(key)}
	ring, err := r.Rings.Ring(ctx, key)
	if err != nil || len(found.revoked) == 0 {
		return found
	}
	found.tokens = slices.DeleteFunc(found.tokens, func(t v1alpha1.ServiceToken) bool {
		return slices.Contains(found.revoked, t.Status.KeyID) && !ring.Ring().IsDenied(t.Status.KeyID)
	})
	return found
}

// tokensOfRing are the tokens of the SigningKey whose ring Secret changed. Other Secrets concern nobody else: marks alone, which
// anybody can copy, must not let a Secret of one namespace make work for another.
func (r *Reconciler) tokensOfRing(ctx context.Context, object client.Object) affected {
	name, ok := spec.KeyOf(object)
	if !ok || name.Namespace != object.GetNamespace() {
		return affected{}
	}
	found := affected{tokens: r.tokensSignedBy(ctx, name)}
	key := &v1alpha1.SigningKey{}
	if err := r.Client.Get(ctx, name, key); err == nil {
		found.revoked = spec.RevokedKeyIDs(key)
	}
	return found
}

// tokensRevokedBy are the tokens that a TokenRevocation can mean. By which instant they were issued only their Secrets can tell.
func (r *Reconciler) tokensRevokedBy(ctx context.Context, object client.Object) affected {
	revocation, ok := object.(*v1alpha1.TokenRevocation)
	if !ok {
		return affected{}
	}
	r.DenyLists.Heed(revocation)
	name := spec.RevokedKey(revocation)
	key := &v1alpha1.SigningKey{}
	if err := r.Client.Get(ctx, name, key); err != nil {
		return affected{} // It has signed nothing, or the list of its tokens comes with it.
	}
	tokens := slices.DeleteFunc(r.tokensSignedBy(ctx, name), func(t v1alpha1.ServiceToken) bool {
		return !r.isMeant(&t, key, &revocation.Spec)
	})
	return affected{tokens: tokens, urgent: true}
}

func (r *Reconciler) isMeant(t *v1alpha1.ServiceToken, key *v1alpha1.SigningKey, by *v1alpha1.TokenRevocationSpec) bool {
	switch {
	case by.TokenID != "":
		return t.Status.TokenID == by.TokenID
	case by.Subject != "" || by.ClientID != "":
		request, err := r.Operator.Request(t, key)
		return err != nil || by.Subject == request.Subject || by.ClientID == request.ClientID()
	default:
		return true
	}
}

func (r *Reconciler) tokensSignedBy(ctx context.Context, key types.NamespacedName) []v1alpha1.ServiceToken {
	var list v1alpha1.ServiceTokenList
	// Nothing that is done with them changes one.
	if err := r.Client.List(ctx, &list, client.MatchingFields{spec.IndexSigningKey: key.String()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	return list.Items
}

// tokensIn are the ServiceTokens of a namespace whose labels changed: a key's selector or rules may judge them anew.
func (r *Reconciler) tokensIn(ctx context.Context, namespace client.Object) []ctrl.Request {
	var list v1alpha1.ServiceTokenList
	if err := r.Client.List(ctx, &list, client.InNamespace(namespace.GetName()), client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	requests := make([]ctrl.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}
