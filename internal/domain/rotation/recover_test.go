package rotation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// found are keys as they are found published.
func found(ids ...string) []rotation.Found {
	var keys []rotation.Found
	for _, id := range ids {
		keys = append(keys, rotation.Found{ID: id, Algorithm: "ES256"})
	}
	return keys
}

// recovered is the timeline at 20s, after the ring was made up for and a key signs again. Fresh keys are named a, b, c.
func recovered(t *testing.T, ring rotation.Ring, published []rotation.Found, longest time.Duration) *timeline {
	l := newTimeline(t)
	l.now = epoch().Add(20 * s)
	l.ring = ring.Recover(published, 7, l.policy, longest, l.now)
	l.look()
	return l
}

func TestALostRing(t *testing.T) {
	l := recovered(t, rotation.Ring{}, found("y", "x"), 60*s)
	if got, want := sprint(l.lines), "[20s: a Generated, a Activated]"; got != want {
		t.Errorf("got timeline %s, want %s: a fresh key signs at once", got, want)
	}
	if diff := cmp.Diff([]string{"a", "y", "x"}, idsOf(l.ring)); diff != "" {
		t.Errorf("published keys, newest first (-want +got):\n%s", diff)
	}
	for _, id := range []string{"x", "y"} {
		k, _ := l.ring.Key(id)
		if got, want := k.RemoveAfter().Sub(epoch()), (20+60+9)*s; k.State != rotation.Retired || k.NeedsPrivate() || got != want {
			t.Errorf("%s is %s until %s, want Retired until %s: its tokens may live so long", id, k.State, got, want)
		}
	}
	if !l.ring.IsRecovered() {
		t.Error("the ring does not say that it was lost")
	}
	l.lines = nil
	want := []string{"1m29s: y Removed, x Removed", "1m45s: b Generated", "1m45s: b Published", "2m0s: a Retired, b Activated"}
	if diff := cmp.Diff(want, l.play(130*s)); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if l.ring.IsRecovered() {
		t.Error("the ring still says that it was lost")
	}
}

func TestALostRingKeepsKeysForTheLongestTokenAtLeast(t *testing.T) {
	l := recovered(t, rotation.Ring{}, found("x"), 1*s)
	k, _ := l.ring.Key("x")
	if got, want := k.RemoveAfter().Sub(epoch()), (20+30+9)*s; got != want {
		t.Errorf("x stays until %s, want %s, as the policy says", got, want)
	}
}

func TestALostRingWithNothingPublishedStartsAfresh(t *testing.T) {
	l := recovered(t, rotation.Ring{}, nil, 60*s)
	if diff := cmp.Diff([]string{"a"}, idsOf(l.ring)); diff != "" {
		t.Errorf("published keys (-want +got):\n%s", diff)
	}
}

// TestARecoveredRingIsNewerThanTheLostOne lets a lost ring that is restored be told from its successor, whatever changes
// it had seen since its copies were written at generation 7.
func TestARecoveredRingIsNewerThanTheLostOne(t *testing.T) {
	l := recovered(t, rotation.Ring{}, found("x"), 60*s)
	if l.ring.Generation < 1000 {
		t.Errorf("got generation %d, want one that no lost ring can have reached", l.ring.Generation)
	}
}

func TestRevokedKeysAreNotRecovered(t *testing.T) {
	denied := rotation.Ring{Denied: []rotation.Denial{{ID: "x", Until: epoch().Add(day)}}}
	l := newTimeline(t)
	revokes("y")(l)
	l.ring = denied.Recover(found("z", "y", "x"), 7, l.policy, 60*s, l.now)
	l.look()
	if diff := cmp.Diff([]string{"a", "z"}, idsOf(l.ring)); diff != "" {
		t.Errorf("published keys (-want +got):\n%s", diff)
	}
	for _, id := range []string{"x", "y"} {
		if !l.ring.IsDenied(id) {
			t.Errorf("%s is not denied", id)
		}
	}
}

// TestADeniedKeyThatComesBackLeavesAtOnce restores a ring in which a signs, next to a denial of a.
func TestADeniedKeyThatComesBackLeavesAtOnce(t *testing.T) {
	l := newTimeline(t)
	l.play(20 * s)
	l.ring.Denied = []rotation.Denial{{ID: "a", Until: epoch().Add(day)}}
	l.look()
	if diff := cmp.Diff([]string{"b"}, idsOf(l.ring)); diff != "" {
		t.Errorf("published keys (-want +got):\n%s", diff)
	}
	if active, _ := l.ring.ActiveKey(); active.ID != "b" || !l.ring.IsDenied("a") {
		t.Errorf("%q signs and a is denied: %t, want b and true", active.ID, l.ring.IsDenied("a"))
	}
}

// TestARingThatIsOlderThanThePublishedSet restores a ring in which x signs and y is Pending. Since then y may have signed.
func TestARingThatIsOlderThanThePublishedSet(t *testing.T) {
	old := newTimeline(t)
	old.play(90 * s)
	for sentence, c := range map[string]struct {
		published []rotation.Found
		want      map[string]rotation.State
	}{
		"the Pending key is published: it may have signed": {
			found("c", "b", "a"),
			map[string]rotation.State{"a": rotation.Active, "b": rotation.Retired, "c": rotation.Retired},
		},
		"the Pending key is not published: it was given up": {
			found("c", "a"),
			map[string]rotation.State{"a": rotation.Active, "c": rotation.Retired},
		},
		"the key that signs is not published: it may have been revoked": {
			found("c", "b"),
			map[string]rotation.State{"b": rotation.Retired, "c": rotation.Retired},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			ring := old.ring.Recover(c.published, 7, policy(), 30*s, epoch().Add(500*s))
			got := map[string]rotation.State{}
			for _, k := range ring.Keys {
				got[k.ID] = k.State
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALostRingOfManyKeysLeavesRoomForTheOneThatSigns(t *testing.T) {
	l := recovered(t, rotation.Ring{}, found("12", "11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1"), 60*s)
	want := []string{"a", "12", "11", "10", "9", "8", "7", "6", "5", "4"}
	if diff := cmp.Diff(want, idsOf(l.ring)); diff != "" {
		t.Errorf("published keys, the newest kept (-want +got):\n%s", diff)
	}
	revokes("a")(l)
	l.look()
	want[0] = "b"
	if diff := cmp.Diff(want, idsOf(l.ring)); diff != "" {
		t.Errorf("published keys after the one that signs was revoked (-want +got):\n%s", diff)
	}
}
