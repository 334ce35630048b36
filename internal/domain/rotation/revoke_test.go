package rotation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func sprint(v any) string { return fmt.Sprint(v) }

// TestRevocation revokes at 20s, when a signs alone, at 90s, when b is Pending, or at 110s, when b signs and a is Retired.
func TestRevocation(t *testing.T) {
	and := func(before []string, more ...string) []string { return slices.Concat(before, more) }
	pending := []string{"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published"}
	handed := and(pending, "1m40s: a Retired, b Activated")
	tell(t, map[string]story{
		"the key that signs, and none to follow: a fresh key signs at once": {
			moments: []moment{{20 * s, revokes("a")}},
			end:     110 * s,
			want: []string{
				"0s: a Generated, a Activated", "20s: a Revoked, b Generated, b Activated", "1m45s: c Generated", "1m45s: c Published",
			},
		},
		"the key that signs, and one to follow: that one signs at once": {
			moments: []moment{{90 * s, revokes("a")}},
			end:     130 * s,
			want:    and(pending, "1m30s: a Revoked, b Activated"),
		},
		"the key that signs, and one to follow of the algorithm of before: it signs until its successor may": {
			moments: []moment{{90 * s, func(l *timeline) { revokes("a")(l); algorithm("RS256")(l) }}},
			end:     120 * s,
			want: and(pending,
				"1m30s: a Revoked, b Activated, c/RS256 Generated", "1m30s: c/RS256 Published", "1m45s: b Retired, c/RS256 Activated"),
		},
		"the key to follow: another is generated, and waits its lead": {
			moments: []moment{{90 * s, revokes("b")}},
			end:     110 * s,
			want:    and(pending, "1m30s: b Revoked, c Generated", "1m30s: c Published", "1m45s: a Retired, c Activated"),
		},
		"a Retired key: it leaves before its time": {
			moments: []moment{{110 * s, revokes("a")}},
			end:     180 * s,
			want:    and(handed, "1m50s: a Revoked"),
		},
		"every key at once: a fresh key signs at once": {
			moments: []moment{{110 * s, revokes("a", "b")}},
			end:     180 * s,
			want:    and(handed, "1m50s: b Revoked, a Revoked, c Generated, c Activated"),
		},
		"a key that is not in the ring: nothing": {
			moments: []moment{{110 * s, revokes("z")}},
			end:     130 * s,
			want:    handed,
		},
		"a key that is taken off the list does not come back": {
			moments: []moment{{110 * s, revokes("a")}, {112 * s, revokes()}},
			end:     180 * s,
			want:    and(handed, "1m50s: a Revoked"),
		},
		"a requested rotation of the key that is revoked: the fresh key is not rotated as well": {
			moments: []moment{{20 * s, func(l *timeline) { revokes("a")(l); requests("now")(l) }}},
			end:     100 * s,
			want:    []string{"0s: a Generated, a Activated", "20s: a Revoked, b Generated, b Activated"},
		},
	})
}

func TestARevokedKeyIsDeniedUntilItsLastTokenHasExpired(t *testing.T) {
	for sentence, c := range map[string]struct {
		moments []moment
		id      string
		until   time.Duration
	}{
		"one that signed: until tokens of this instant have expired": {[]moment{{20 * s, revokes("a")}}, "a", 59 * s},
		"one that signed longer tokens before":                       {[]moment{{10 * s, maxDuration(60 * s)}, {15 * s, maxDuration(1 * s)}, {20 * s, revokes("a")}}, "a", 89 * s},
		"one that never signed: as if it had":                        {[]moment{{90 * s, revokes("b")}}, "b", 129 * s},
		"a Retired one: until it would have left":                    {[]moment{{110 * s, revokes("a")}}, "a", 139 * s},
		"revoked within a second: from the next":                     {[]moment{{20*s + 1, revokes("a")}}, "a", 60 * s},
		"forgiven: all the same":                                     {[]moment{{20 * s, revokes("a")}, {22 * s, revokes()}}, "a", 59 * s},
	} {
		t.Run(sentence, func(t *testing.T) {
			l := newTimeline(t)
			l.play(c.moments[len(c.moments)-1].at+1, c.moments...)
			if len(l.ring.Denied) != 1 || l.ring.Denied[0].ID != c.id || l.ring.Denied[0].Until.Sub(epoch()) != c.until {
				t.Fatalf("got denials %+v, want one of %s until %s", l.ring.Denied, c.id, c.until)
			}
			for _, at := range []time.Duration{c.until - 1, c.until} {
				l.now = epoch().Add(at)
				l.look()
				if denied := l.ring.IsDenied(c.id); denied != (at < c.until) {
					t.Errorf("at %s it is denied: %t", at, denied)
				}
			}
		})
	}
}

func TestTheDenyListIsBounded(t *testing.T) {
	l := newTimeline(t)
	maxDuration(10 * day)(l)
	l.look()
	for i := range 70 {
		l.now = epoch().Add(time.Duration(i) * s)
		active, _ := l.ring.ActiveKey()
		revokes(active.ID)(l)
		l.look()
	}
	if n := len(l.ring.Denied); n != 64 {
		t.Fatalf("%d keys are denied, want 64", n)
	}
	if got, want := l.ring.Denied[0].RevokedAt.Sub(epoch()), 69*s; got != want {
		t.Errorf("the first denial is of %s, want the newest, of %s", got, want)
	}
	if err := l.ring.Check(); err != nil {
		t.Error(err)
	}
}
