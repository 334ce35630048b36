package tokenrevocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	domain "github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// Families are the refresh tokens that were handed out: each and its successors are a family, which can outlive the revocation that
// concerns it by months. It is a part of tokenstore.Families.
type Families interface {
	RevokeAll(ctx context.Context, selection tokenstore.Selection, reason refresh.Reason, now time.Time) (int, error)
}

// revokeFamilies tells the store of each revocation twice: when it is first seen, and before it is over. In between families are judged by
// the deny list when they are used, so that one which another replica begins at the last moment is not missed.
func (r *Reconciler) revokeFamilies(ctx context.Context, w *world) error {
	if r.Families == nil || w.key == nil || w.plan.over == nil {
		return nil
	}
	told := map[types.UID]bool{}
	var errs []error
	for i, revocation := range w.parts.Revocations {
		uid := revocation.Object.UID
		if r.wasTold(w.name, uid) && !w.plan.over[i] || isExpired(revocation.Object) && w.plan.over[i] {
			told[uid] = true
			continue
		}
		if err := r.tell(ctx, w, revocation); err != nil {
			w.untold[uid] = err
			errs = append(errs, err)
			continue
		}
		told[uid] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told == nil {
		r.told = map[types.NamespacedName]map[types.UID]bool{}
	}
	if r.told[w.name] = told; len(told) == 0 {
		delete(r.told, w.name)
	}
	return errors.Join(errs...)
}

// tell does nothing for a revocation of single tokens, or of those of a key: no refresh token is one.
func (r *Reconciler) tell(ctx context.Context, w *world, revocation denylist.Revoked) error {
	e := revocation.Entry
	selection := tokenstore.Selection{IssuerUID: string(w.key.UID), CreatedBefore: e.IssuedBefore}
	switch e.Kind {
	case domain.Subject:
		selection.Subject = e.Value
	case domain.ClientID:
		selection.ClientID = e.Value
	case domain.Everything:
	case domain.TokenID, domain.KeyID:
		return nil
	}
	if _, err := r.Families.RevokeAll(ctx, selection, refresh.ReasonTokenRevocation, r.Clock.Now()); err != nil {
		return fmt.Errorf("revoke refresh tokens for TokenRevocation %s: %w", revocation.Object.Name, err)
	}
	return nil
}

func (r *Reconciler) wasTold(key types.NamespacedName, uid types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[key][uid]
}

// isExpired says whether the status says so already.
func isExpired(revocation *v1alpha1.TokenRevocation) bool {
	ready := meta.FindStatusCondition(revocation.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonExpired
}
