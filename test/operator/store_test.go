package operator

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/test/postgres"
)

// crowd are callers that refresh all the time, each with a token of its own. Who is not answered by a token comes back with the same,
// as whoever is told 503 should.
type crowd struct {
	w      *world
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu      sync.Mutex
	newest  []string
	granted int
}

func (w *world) crowds(c caller) *crowd {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	g := &crowd{w: w, cancel: cancel, newest: make([]string, 4)}
	for i := range g.newest {
		g.newest[i] = c.asked().Refresh
		g.all.Go(func() {
			for ctx.Err() == nil {
				g.refresh(ctx, c, i)
			}
		})
	}
	w.t.Cleanup(g.stop)
	return g
}

func (g *crowd) refresh(ctx context.Context, c caller, i int) {
	g.mu.Lock()
	token := g.newest[i]
	g.mu.Unlock()
	// What was begun is finished, so that no answer is lost.
	got, err := c.send(context.WithoutCancel(ctx), "token", form("grant_type", "refresh_token", "refresh_token", token))
	switch {
	case err != nil: // Nobody listens.
	case got.granted() == nil:
		g.mu.Lock()
		g.newest[i], g.granted = got.Refresh, g.granted+1
		g.mu.Unlock()
	case got.isForLater() != nil:
		g.w.t.Errorf("a refresh token was lost: %v", got.granted())
		g.cancel()
	}
}

// works waits until some more refreshes have been granted.
func (g *crowd) works() {
	g.w.t.Helper()
	count := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.granted
	}
	before := count()
	g.w.eventually("tokens are refreshed", func() error {
		if n := count() - before; n < 20 {
			return fmt.Errorf("%d refreshes", n)
		}
		return nil
	})
}

func (g *crowd) stop() {
	g.cancel()
	g.all.Wait()
}

func TestNoRefreshTokenIsLostWhenPostgreSQLGoesAwayAndWhatFailsMeanwhileSaysSo(t *testing.T) {
	suite.Config(t) // skips before a database is started in vain
	server := postgres.New(t)
	w, v := beginServing(t, keeping(server.Database()))
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	c := v.calls(newClient(ns, "cart", "shop", refreshing))
	for _, end := range []func(){server.Stop, server.Kill} {
		kept, used := c.asked(), c.asked()
		newest := c.refresh(used.Refresh)
		g := w.crowds(c)
		g.works()

		end()
		w.tellsWithoutStore(c, kept)
		server.Start()
		w.eventually("the store is ready", func() error { return v.probe("/token-store") })
		g.works()
		g.stop()
		w.must(c.refresh(kept.Refresh).granted(), c.refresh(kept.Refresh).refused(), c.refresh(newest.Refresh).granted(),
			c.refresh(used.Refresh).refused())
	}
}

// tellsWithoutStore shows what works while the store is away, and where it is told what does not.
func (w *world) tellsWithoutStore(c caller, kept reply) {
	w.t.Helper()
	const lookups = `keyturn_token_store_operation_duration_seconds{operation="Lookup",outcome="Unavailable"}`
	const missing = `keyturn_refresh_tokens_missing_total{}`
	before := allSeries(w.t)
	if err := c.probe("/token-store"); err == nil {
		w.t.Error("the store is ready")
	}
	w.must(c.probe("?exclude=token-store"))
	w.must(c.refresh(kept.Refresh).isForLater(), c.introspect(kept.Refresh).isForLater(), c.must("revoke", form("token", kept.Refresh)).isForLater())
	if got := c.introspect(kept.Access); !got.Active {
		w.t.Errorf("an access token is not introspected: %v", got.granted())
	}
	got := c.ask()
	w.must(got.granted())
	if got.Refresh != "" {
		w.t.Error("a refresh token was granted that nobody keeps")
	}
	after := allSeries(w.t)
	if after[lookups] < before[lookups]+3 || after[missing] <= before[missing] {
		w.t.Errorf("%s was %v and is %v, %s was %v and is %v", lookups, before[lookups], after[lookups], missing, before[missing], after[missing])
	}
}

func TestNoRefreshTokenIsLostWhenTheOperatorRestarts(t *testing.T) {
	w, v := beginServing(t, keeping(inFile(t)))
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	c := v.calls(newClient(ns, "cart", "shop", refreshing))
	used := c.asked()
	newest := c.refresh(used.Refresh)
	g := w.crowds(c)
	drains := func(o *app.Options, _ *rest.Config) { o.ShutdownDelay = shutdownDelay }
	for _, next := range [][]setup{append(v.setups, drains), v.setups} {
		g.works()
		w.op.stop()
		w.op = startOperator(t, w.op.clock, next...)
		g.works()
	}
	g.stop()
	w.must(c.refresh(newest.Refresh).granted(), c.refresh(used.Refresh).refused(), c.refresh(newest.Refresh).refused())
}
