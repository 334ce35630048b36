package app

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/freshness"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/tokenstore"
	"github.com/keyturn/keyturn/internal/webhookcert"
)

// shared is what several parts of the operator work with, so that they agree on it.
type shared struct {
	rings       *ringstore.Store
	lists       *denylist.Lists
	permits     *permit.Checker
	view        *freshness.View
	certificate *webhookcert.Manager
	// store is nil if there are no refresh tokens.
	store *tokenstore.Store
}

func newShared(ctx context.Context, mgr ctrl.Manager, o Options, view *freshness.View, certificate *webhookcert.Manager) (*shared, error) {
	parts := &shared{permits: permit.New(o.Operator), view: view, certificate: certificate}
	// Straight from the cache: a client looks up the kind of an object twice before it asks there.
	parts.rings = ringstore.New(mgr.GetCache(), mgr.GetAPIReader(), o.Clock, o.Operator.SignerStaleness)
	parts.lists = denylist.New(mgr.GetClient(), parts.rings, o.Operator, o.Clock)
	if err := parts.lists.Follow(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}
	var err error
	parts.store, err = openTokenStore(ctx, mgr, o)
	return parts, err
}

// close is called when everything has ended.
func (s *shared) close() {
	if s.store != nil {
		_ = s.store.Close() // What was acknowledged is on disk.
	}
}
