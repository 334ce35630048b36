package rotation_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// TestMain makes worlds live longer than rapid would by itself; -rapid.steps still decides.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.steps", "80"); err != nil {
		panic(err)
	}
	m.Run()
}

// property is what must hold in every world. Each function returns a complaint, or nothing.
type property struct {
	// always is asked after everything that happens.
	always func(w *world) string
	// decided is asked about every answer of the engine, whether or not it is stored.
	decided func(w *world, d decision) string
	// stored is asked after a ring was stored, before anybody signs with it.
	stored func(w *world, d decision) string
	// afterwards is asked when nothing more happens by itself.
	afterwards func(w *world) string
}

// holds plays worlds and watches the property.
func holds(t *testing.T, p property) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, p)
		happenings := drawEvent()
		t.Repeat(map[string]func(*rapid.T){"event": func(t *rapid.T) {
			happenings.Draw(t, "event").happen(w)
			w.check()
		}})
		if p.afterwards != nil {
			w.judge(p.afterwards(w))
		}
	})
}

// TestNoVerifierMeetsATokenItCannotVerify is invariant 1, no gap: whatever set a verifier may hold at an instant, it has
// the key of every live token.
func TestNoVerifierMeetsATokenItCannotVerify(t *testing.T) {
	holds(t, property{always: func(w *world) string {
		for _, k := range w.keys {
			if !w.live(k) || k.lost || k.revoked || slices.Contains(w.policy.Revoked, k.id) {
				continue
			}
			for _, c := range w.copies {
				for _, s := range c.held {
					if s.inUse(w.now) && !slices.Contains(s.set, k.id) && !k.tooEarly(c, s) {
						return fmt.Sprintf("a verifier that reads %s may keep %v until %s, and meet a token of %s that lives until %s",
							c.name, s.set, w.at(s.kept), k.id, w.at(k.expiry))
					}
				}
			}
		}
		return ""
	}})
}

// TestNoKeySignsBeforeItsLeadHasPassed is invariant 2, no early signature, judged by when the copies really got the key.
func TestNoKeySignsBeforeItsLeadHasPassed(t *testing.T) {
	holds(t, property{stored: func(w *world, d decision) string {
		active, _ := d.out.Ring.ActiveKey()
		if !d.has(rotation.RetiredNow, "") {
			return ""
		}
		wait := d.policy.VerifierCache + d.policy.Propagation // The rest of the lead is what clocks may be apart.
		for _, c := range w.copies {
			for _, s := range c.held {
				switch {
				case slices.Contains(s.set, active.ID):
				case s.until.IsZero():
					return fmt.Sprintf("%s signs and is not in %s", active.ID, c.name)
				case w.now.Before(s.until.Add(wait)):
					return fmt.Sprintf("%s signs, but %s lacked it less than %s ago", active.ID, c.name, wait)
				}
			}
		}
		return ""
	}})
}

// TestNoTokenOutlivesItsKey is invariant 3: a key leaves the ring only when its last token has expired by every clock.
func TestNoTokenOutlivesItsKey(t *testing.T) {
	holds(t, property{stored: func(w *world, d decision) string {
		for _, k := range w.keys {
			if d.has(rotation.Removed, k.id) && w.live(k) {
				return fmt.Sprintf("%s leaves the ring, and tokens of it live until %s", k.id, w.at(k.expiry))
			}
		}
		return ""
	}})
}

// TestPrivateHalvesAreDestroyedInTime is invariant 4: a private half exists only for a key that signs or will.
func TestPrivateHalvesAreDestroyedInTime(t *testing.T) {
	holds(t, property{stored: func(w *world, d decision) string {
		for id := range w.secret.private {
			if k, _ := d.out.Ring.Key(id); k.State != rotation.Pending && k.State != rotation.Active {
				return fmt.Sprintf("the private half of %s exists, which is %q", id, k.State)
			}
		}
		return ""
	}})
}

// TestAPublishedSetHasOneToTenKeys is invariant 5, never empty, never crowded.
func TestAPublishedSetHasOneToTenKeys(t *testing.T) {
	holds(t, property{always: func(w *world) string {
		for _, c := range w.copies {
			if n := len(c.set()); c.exists && (n < 1 || n > 10) {
				return fmt.Sprintf("%s holds %d keys", c.name, n)
			}
		}
		return ""
	}})
}

// TestExactlyOneKeySigns also reads every ring back as a controller does.
func TestExactlyOneKeySigns(t *testing.T) {
	holds(t, property{stored: func(w *world, _ decision) string {
		ring, _ := w.secret.stored()
		active := 0
		for _, k := range ring.Keys {
			if k.State == rotation.Active {
				active++
			}
		}
		if active != 1 {
			return fmt.Sprintf("%d keys are Active", active)
		}
		if err := ring.Check(); err != nil {
			return fmt.Sprintf("the ring cannot be read back: %v", err)
		}
		return ""
	}})
}

// TestARevokedKeyIsDeniedUntilItsTokensHaveExpired also finds no revoked key in a ring. Clocks that go further apart after
// the revocation are left out: a denial is not lengthened, and the key is in no published set.
func TestARevokedKeyIsDeniedUntilItsTokensHaveExpired(t *testing.T) {
	holds(t, property{stored: func(w *world, d decision) string {
		for _, id := range d.policy.Revoked {
			if _, ok := d.out.Ring.Key(id); ok {
				return fmt.Sprintf("%s is revoked and published", id)
			}
		}
		for _, k := range w.keys {
			if _, ok := d.out.Ring.Key(k.id); k.revoked && !k.excused && !ok && w.live(k) && !d.out.Ring.IsDenied(k.id) {
				return fmt.Sprintf("%s was revoked and is denied no more, and tokens of it live until %s", k.id, w.at(k.expiry))
			}
		}
		return ""
	}})
}

// TestRingsSurviveStorage finds every instant that is not a whole second, and every answer that touches the ring it was
// given.
func TestRingsSurviveStorage(t *testing.T) {
	holds(t, property{decided: func(w *world, d decision) string {
		back := readBack(d.out.Ring)
		if !back.Equal(d.out.Ring) {
			return fmt.Sprintf("%s was decided, and reads back as %s", w.describe(d.out.Ring), w.describe(back))
		}
		if d.out.Changed == d.out.Ring.Equal(d.before) {
			return fmt.Sprintf("changed is %t from %s to %s", d.out.Changed, w.describe(d.before), w.describe(d.out.Ring))
		}
		return ""
	}})
}

// TestNextIsExactlyWhenTimeChangesTheRing asks again at instants before Next, when nothing may change, and at Next, when
// something must.
func TestNextIsExactlyWhenTimeChangesTheRing(t *testing.T) {
	errMinted := errors.New("a key is generated")
	mint := func(string) (string, error) { return "", errMinted }
	holds(t, property{decided: func(w *world, d decision) string {
		changes := func(at time.Time) bool {
			out, err := d.out.Ring.Advance(d.policy, d.seen, at, mint)
			return err != nil || out.Changed || out.Crowded != d.out.Crowded
		}
		next, until := d.out.Next, d.out.Next
		if next.IsZero() {
			until = d.now.Add(time.Hour)
		}
		if !until.After(d.now) {
			return fmt.Sprintf("at %s the next instant to look is %s", w.at(d.now), w.at(next))
		}
		for _, at := range []time.Time{d.now, d.now.Add(until.Sub(d.now) / 2), until.Add(-1)} {
			if changes(at) {
				return fmt.Sprintf("%s changes at %s, before %s", w.describe(d.out.Ring), w.at(at), w.at(next))
			}
		}
		if !next.IsZero() && !changes(next) {
			return fmt.Sprintf("nothing changes in %s at %s", w.describe(d.out.Ring), w.at(next))
		}
		return ""
	}})
}

// TestRotationGoesOnWhenNothingGoesWrongAnyMore lets one operator look when it was told to: the next key signs, and every
// copy holds the ring. An engine that never rotates breaks no other property.
func TestRotationGoesOnWhenNothingGoesWrongAnyMore(t *testing.T) {
	holds(t, property{afterwards: func(w *world) string {
		o, healthy := w.operators[0], faults{stop: nowhere}
		o.pass(w, healthy)
		ring, _ := w.secret.stored()
		first, _ := ring.ActiveKey()
		for range 40 {
			if o.next.IsZero() {
				return "the engine waits for nothing"
			}
			wake{Faults: healthy}.happen(w)
			ring, _ = w.secret.stored()
			if active, _ := ring.ActiveKey(); active.ID == first.ID {
				continue
			}
			for _, c := range w.copies {
				if !slices.Equal(c.set(), idsOf(ring)) {
					return fmt.Sprintf("%s holds %v, the ring is %s", c.name, c.set(), w.describe(ring))
				}
			}
			return ""
		}
		return "after forty changes the same key signs"
	}})
}
