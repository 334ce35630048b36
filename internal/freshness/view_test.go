package freshness_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/freshness"
)

func mustBeFresh(t *testing.T, view *freshness.View) {
	t.Helper()
	if err := view.Fresh(nil); err != nil {
		t.Errorf("not fresh: %v", err)
	}
}

func mustBeStale(t *testing.T, view *freshness.View, because string) {
	t.Helper()
	if err := view.Fresh(nil); err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("fresh says %v, want an error with %q", err, because)
	}
}

func TestASettledClusterKeepsAViewFreshWithoutAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		view := started(t, clock.RealClock{}, s)
		before := s.watches()
		const hour = 60
		for range hour {
			pause(time.Minute)
			mustBeFresh(t, view)
			if age := view.Age(clock.RealClock{}.Now()); age > limit/2 {
				t.Errorf("a view of a settled cluster is %s old", age)
			}
		}
		// One every 30 seconds, a quarter of the limit.
		if got := s.watches() - before; got < 2*hour-5 || got > 2*hour || s.lists > 0 {
			t.Errorf("an hour took %d watches and %d lists, want one watch in 30 seconds and no list", got, s.lists)
		}
	})
}

func TestAViewIsTooOldWhenTheAPIServerIsAway(t *testing.T) {
	for sentence, breaks := range map[string]func(*server){
		"it refuses":                           func(s *server) { s.set(true, false); s.hangUp() },
		"it refuses when it is asked next":     func(s *server) { s.set(true, false) },
		"nothing comes from it, nor goes away": func(s *server) { s.set(false, true) },
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				whole, broken := &server{}, &server{}
				view := started(t, clock.RealClock{}, whole, broken)
				pause(time.Minute)
				breaks(broken)
				pause(limit / 2)
				mustBeFresh(t, view)
				pause(limit)
				mustBeStale(t, view, "the API server was last heard of Secrets at")
				heard := view.Heard()
				pause(time.Hour)
				if !view.Heard().Equal(heard) {
					t.Error("something was heard of an API server that is away")
				}
			})
		})
	}
}

func TestAViewIsFreshAgainWhenTheAPIServerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		view := started(t, clock.RealClock{}, s)
		s.set(true, false)
		pause(time.Hour)
		mustBeStale(t, view, "longer ago than 2m0s")
		s.set(false, false)
		pause(time.Minute)
		mustBeFresh(t, view)
	})
}

// What waits in buffers was sent before the process stopped, and is read after it goes on.
func TestAViewIsTooOldAtOnceWhenAStoppedProcessGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, clk := &server{}, &suspended{}
		view := started(t, clk, s)
		s.set(false, true)
		clk.missed.Store(int64(time.Hour))
		s.streams[len(s.streams)-1].Add(secret("2"))
		synctest.Wait()
		mustBeStale(t, view, "longer ago than 2m0s")
		if age := view.Age(clk.Now()); age < time.Hour {
			t.Errorf("the view is %s old after an hour", age)
		}
	})
}

func TestAWatchThatTheServerForgetsIsAskedForAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		view := started(t, clock.RealClock{}, s)
		pause(limit)
		s.set(false, true)
		pause(30 * time.Second) // The stream that is open is never ended by the server now.
		s.set(false, false)
		pause(limit / 2)
		mustBeFresh(t, view)
	})
}

func TestACacheIsFilledInItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{fills: 4 * time.Minute}
		view := started(t, clock.RealClock{}, s)
		mustBeStale(t, view, "the cache of Secrets is being filled")
		pause(s.fills)
		if s.watches() > 1 {
			t.Errorf("%d watches began anew while the cache was being filled", s.watches()-1)
		}
		pause(time.Minute)
		mustBeFresh(t, view)
		if s.timeouts[0] < s.fills {
			t.Errorf("the watch that fills the cache was asked to end after %s", s.timeouts[0])
		}
		for _, timeout := range s.timeouts[1:] {
			if timeout != limit/4 {
				t.Errorf("a watch was asked to end after %s, want %s", timeout, limit/4)
			}
		}
	})
}

func TestAViewOfNothingIsNotFresh(t *testing.T) {
	view := freshness.New(clock.RealClock{}, limit)
	mustBeStale(t, view, "nothing of the cluster is known yet")
	if !view.Heard().IsZero() || view.Age(clock.RealClock{}.Now()) < 1e6*time.Hour {
		t.Errorf("nothing was heard at %s, %s ago", view.Heard(), view.Age(clock.RealClock{}.Now()))
	}
}
