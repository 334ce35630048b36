package operator

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/test/postgres"
)

// elected lets one of several replicas lead, as long as it lives.
func elected(o *app.Options, _ *rest.Config) {
	o.LeaderElect = true
	o.Election.RetryPeriod = 100 * time.Millisecond
}

// beginTwo starts two replicas with one store. The first leads, and the second answers admission too when that has ended.
func beginTwo(t *testing.T, store string) (w *world, first, second *verifier) {
	t.Helper()
	port := freePort(t)
	elsewhere := func(o *app.Options, _ *rest.Config) { o.WebhookPort = port }
	w, first = beginServing(t, keeping(store), elected, elsewhere)
	w.leads()
	second = newVerifier(t, address(t), first.url, keeping(store), elected)
	beside, stop := startOperator(t, w.op.clock, second.setups...), w.op.stop
	w.op.stop = func() {
		stop()
		beside.stop()
	}
	second.meet(w)
	return w, first, second
}

// beginAsking also applies a TokenClient, and is it at both.
func beginAsking(t *testing.T) (w *world, here, there caller) {
	t.Helper()
	suite.Config(t) // skips before a database is started in vain
	w, first, second := beginTwo(t, postgres.New(t).Database())
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	here = first.calls(newClient(ns, "cart", "shop", refreshing))
	there = here.at(second)
	w.eventually("the second replica knows the client", func() error { return there.ask().granted() })
	return w, here, there
}

func TestARefreshTokenThatIsUsedAtTwoReplicasAtOnceIsGrantedOnceAndThenNobodyHasAny(t *testing.T) {
	w, here, there := beginAsking(t)
	for range 5 {
		w.raced(here, there)
	}
	w.eventually("an event tells", func() error {
		return w.hasEvent(here.ns, v1alpha1.ReasonRefreshTokenReused, "cart", "was used a second time")
	})
}

func TestAClientThatGoesFromOneReplicaToTheOtherIsAlwaysServed(t *testing.T) {
	w, here, there := beginAsking(t)
	both := []caller{here, there}
	newest := here.asked().Refresh
	for i := range 60 {
		got := both[i%2].refresh(newest)
		if err := got.granted(); err != nil {
			t.Fatalf("refresh %d: %v", i, err)
		}
		newest = got.Refresh
	}
	revoked := here.asked().Refresh
	w.must(here.must("revoke", form("token", revoked)).granted(), there.refresh(revoked).refused())

	w.op.tellToEnd()
	w.op.awaitEnd()
	got := there.refresh(newest)
	w.must(got.granted(), there.refresh(got.Refresh).granted(), there.refresh(newest).refused())
}

// raced sends one refresh token to both replicas at once, several times.
func (w *world) raced(here, there caller) {
	w.t.Helper()
	token := here.asked().Refresh
	var replies [6]reply
	var all sync.WaitGroup
	together := make(chan struct{})
	for i := range replies {
		all.Go(func() {
			<-together
			got, err := []caller{here, there}[i%2].send(w.t.Context(), "token", form("grant_type", "refresh_token", "refresh_token", token))
			if err != nil {
				w.t.Error(err)
			}
			replies[i] = got
		})
	}
	close(together)
	all.Wait()
	newest := ""
	for _, got := range replies {
		switch {
		case got.status == http.StatusOK && newest == "":
			newest = got.Refresh
		case got.refused() != nil:
			w.t.Errorf("another one: %v", got.refused())
		}
	}
	if newest == "" {
		w.t.Fatal("nobody was granted anything")
	}
	for i, at := range []caller{here, there} {
		if got := at.introspect(newest); got.granted() != nil || got.Active {
			w.t.Errorf("replica %d introspects the newest token: %+v", i, got)
		}
		w.must(at.refresh(newest).refused(), at.refresh(token).refused())
	}
}
