package discovery_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/discovery"
)

func noon() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC) }

func TestAnAnswerIsGoodUntilItsSetCanBeWrong(t *testing.T) {
	in := func(d time.Duration) time.Time { return noon().Add(d) }
	for sentence, c := range map[string]struct {
		standing         discovery.Standing
		chance           float64
		verifier, shared time.Duration
	}{
		"with no change planned it is good for the whole cache time, and shared caches may delay it like a copy": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute}, 0, time.Hour, 2 * time.Minute,
		},
		"chance takes up to a tenth off": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute}, 1, 54 * time.Minute, 2 * time.Minute,
		},
		"a view that is old already counts against both": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Age: 30 * time.Second}, 0, 59*time.Minute + 30*time.Second, 90 * time.Second,
		},
		"a fraction of a second is not given out": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Age: 100 * time.Millisecond}, 0, time.Hour - time.Second, 119 * time.Second,
		},
		"a view older than the cache time makes an answer that nobody may keep": {
			discovery.Standing{VerifierCache: time.Minute, Propagation: 2 * time.Minute, Age: time.Hour}, 0, 0, 0,
		},
		"a view older than a copy may take makes an answer that no shared cache may keep": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Age: 10 * time.Minute}, 0, 50 * time.Minute, 0,
		},
		"verifiers that may keep nothing are told so": {
			discovery.Standing{Propagation: time.Minute}, 0.5, 0, 0,
		},
		"a planned change ends it, at most a tenth of the cache time later": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Next: in(20 * time.Minute)}, 0, 26 * time.Minute, 2 * time.Minute,
		},
		"and not before the change": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Next: in(20 * time.Minute)}, 1, 20 * time.Minute, 2 * time.Minute,
		},
		"a change that comes after the cache time counts for nothing": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Next: in(3 * time.Hour)}, 0, time.Hour, 2 * time.Minute,
		},
		"a change that is overdue can come at any time, and is not waited for": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Next: in(-time.Hour)}, 0, time.Hour, 2 * time.Minute,
		},
		"just before a change verifiers are spread all the same": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Next: in(time.Second)}, 1, 3 * time.Minute, 2 * time.Minute,
		},
		"an unplanned change that is on its way makes it short": {
			discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Unsettled: true}, 0, 10 * time.Second, 10 * time.Second,
		},
		"but not longer than the cache time": {
			discovery.Standing{VerifierCache: 4 * time.Second, Propagation: 2 * time.Minute, Unsettled: true}, 0, 4 * time.Second, 4 * time.Second,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			verifier, shared := c.standing.Lifetimes(noon(), c.chance)
			if verifier != c.verifier || shared != c.shared {
				t.Errorf("good for %s, in shared caches for %s, want %s and %s", verifier, shared, c.verifier, c.shared)
			}
		})
	}
}

func seconds(t *rapid.T, most int, label string) time.Duration {
	return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * time.Second
}

// TestNoAnswerOutlivesWhatANewKeyWaitsFor fails when Lifetimes leaves the Age out of either bound, adds what it should take
// off by chance, or forgets to spread.
func TestNoAnswerOutlivesWhatANewKeyWaitsFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := discovery.Standing{
			VerifierCache: seconds(t, 720*3600, "verifier cache"), Propagation: seconds(t, 3600, "propagation"),
			Age:       time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "age")),
			Unsettled: rapid.Bool().Draw(t, "unsettled"),
		}
		if rapid.Bool().Draw(t, "planned") {
			s.Next = noon().Add(seconds(t, 1000*3600, "next") - time.Hour)
		}
		verifier, shared := s.Lifetimes(noon(), rapid.Float64Range(0, 1).Draw(t, "chance"))

		switch {
		case verifier < 0 || shared < 0 || verifier%time.Second != 0 || shared%time.Second != 0:
			t.Fatalf("%s and %s are not whole seconds from 0", verifier, shared)
		case verifier > 0 && verifier+s.Age > s.VerifierCache:
			t.Fatalf("who heeds %s after an age of %s keeps the set longer than %s", verifier, s.Age, s.VerifierCache)
		case shared > verifier:
			t.Fatalf("a shared cache may keep it for %s, a verifier for %s only", shared, verifier)
		case shared > 0 && shared+s.Age > s.Propagation:
			t.Fatalf("a shared cache gives it out %s late, a copy takes %s at most", shared+s.Age, s.Propagation)
		case s.Unsettled && verifier > 10*time.Second:
			t.Fatalf("good for %s although a change is on its way", verifier)
		}
		ends, spread := noon().Add(verifier), s.VerifierCache/10
		if s.Next.After(noon()) && ends.After(s.Next.Add(spread)) {
			t.Fatalf("good until %s, more than %s after the change at %s", ends, spread, s.Next)
		}
		longest := s.VerifierCache - s.Age
		if early := s.Next.Sub(ends); !s.Unsettled && s.Next.After(noon()) && s.Next.Before(noon().Add(longest-spread)) && early >= time.Second {
			t.Fatalf("who comes back at %s comes back twice: the change is at %s", ends, s.Next)
		}
	})
}

func TestVerifiersDoNotAllComeBackInOneSecond(t *testing.T) {
	s := discovery.Standing{VerifierCache: time.Hour, Propagation: 2 * time.Minute, Next: noon().Add(10 * time.Minute)}
	ends := map[time.Duration]int{}
	const verifiers = 720
	for i := range verifiers {
		life, _ := s.Lifetimes(noon(), float64(i)/verifiers)
		ends[life]++
	}
	for life, n := range ends {
		if n > 3 {
			t.Errorf("%d of %d verifiers come back after %s", n, verifiers, life)
		}
	}
}
