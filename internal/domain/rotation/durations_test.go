package rotation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// TestChangedDurations changes a duration while a signs, until 100s, or after it has retired. Unchanged, a is removed at
// 139s, after tokens of 30s, twice the skew of 2s and the staleness of 5s.
func TestChangedDurations(t *testing.T) {
	skew := func(d time.Duration) func(*timeline) { return owner(func(p *rotation.Policy) { p.Skew = d }) }
	staleness := func(d time.Duration) func(*timeline) {
		return owner(func(p *rotation.Policy) { p.SignerStaleness = d })
	}
	propagation := func(d time.Duration) func(*timeline) {
		return owner(func(p *rotation.Policy) { p.Propagation = d })
	}
	for sentence, c := range map[string]struct {
		moments []moment
		want    time.Duration
	}{
		"nothing changes": {nil, 139 * s},
		"tokens shortened while it signs: it stays for the long ones":          {[]moment{{50 * s, maxDuration(5 * s)}}, 139 * s},
		"tokens lengthened while it signs: it stays longer":                    {[]moment{{50 * s, maxDuration(60 * s)}}, 169 * s},
		"tokens lengthened for a moment: it stays longer all the same":         {[]moment{{50 * s, maxDuration(60 * s)}, {51 * s, maxDuration(30 * s)}}, 169 * s},
		"tokens lengthened when it signs no more: none of its tokens is long":  {[]moment{{110 * s, maxDuration(60 * s)}}, 139 * s},
		"staleness lengthened while it signs":                                  {[]moment{{50 * s, staleness(25 * s)}}, 159 * s},
		"staleness lengthened when it signs no more":                           {[]moment{{110 * s, staleness(25 * s)}}, 159 * s},
		"staleness shortened while it signs":                                   {[]moment{{50 * s, staleness(4 * s)}}, 139 * s},
		"staleness shortened when it signs no more":                            {[]moment{{110 * s, staleness(4 * s)}}, 139 * s},
		"a copy takes longer than staleness: who mounts the key signs as long": {[]moment{{50 * s, propagation(7 * s)}}, 143 * s},
		"skew lengthened when it signs no more":                                {[]moment{{110 * s, skew(6 * s)}}, 147 * s},
		"skew shortened when it signs no more":                                 {[]moment{{110 * s, skew(0)}}, 139 * s},
	} {
		t.Run(sentence, func(t *testing.T) {
			l := newTimeline(t)
			l.play(130*s, c.moments...)
			a, _ := l.ring.Key("a")
			if got := a.RemoveAfter().Sub(epoch()); got != c.want {
				t.Errorf("a is removed at %s, want %s", got, c.want)
			}
			for _, at := range []time.Duration{c.want - time.Nanosecond, c.want} {
				l.now = epoch().Add(at)
				l.look()
				if _, there := l.ring.Key("a"); there != (at < c.want) {
					t.Errorf("at %s a is in the ring: %t", at, there)
				}
			}
		})
	}
}

func TestChangedLeads(t *testing.T) {
	tell(t, map[string]story{
		"a longer cache makes a Pending key wait longer": {
			moments: []moment{{90 * s, cache(30 * s)}},
			end:     130 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published", "2m0s: a Retired, b Activated",
			},
		},
		"a shorter cache does not shorten the wait for sets that were fetched before": {
			moments: []moment{{20 * s, cache(1 * s)}, {20 * s, requests("now")}},
			end:     50 * s,
			want: []string{
				"0s: a Generated, a Activated", "20s: b Generated", "20s: b Published", "35s: a Retired, b Activated",
			},
		},
		"a cache that is shortened twice is waited for from the first time": {
			moments: []moment{{20 * s, cache(5 * s)}, {21 * s, cache(1 * s)}, {21 * s, requests("now")}},
			end:     50 * s,
			want: []string{
				"0s: a Generated, a Activated", "21s: b Generated", "21s: b Published", "35s: a Retired, b Activated",
			},
		},
		"a cache that was shortened long ago shortens the wait": {
			moments: []moment{{20 * s, cache(1 * s)}},
			end:     110 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m34s: b Generated", "1m34s: b Published", "1m40s: a Retired, b Activated",
			},
		},
	})
}

// TestInstantsAreWholeSecondsThatWaitLonger decides within a second: what something waits from is rounded up, the rest
// down.
func TestInstantsAreWholeSecondsThatWaitLonger(t *testing.T) {
	const fraction = 400 * time.Millisecond
	l := newTimeline(t)
	got := map[string]time.Duration{}
	for _, m := range []moment{
		{0, func(*timeline) {}},
		{85 * s, func(*timeline) {}},
		{105 * s, func(l *timeline) {
			b, _ := l.ring.Key("b")
			got["b published"] = b.PublishedAt.Sub(epoch())
		}},
		{110 * s, revokes("b")},
		{111 * s, cache(1 * s)},
	} {
		l.now = epoch().Add(m.at + fraction)
		m.what(l)
		l.look()
	}
	got["caches until"], got["b revoked"] = l.ring.CachesUntil.Sub(epoch()), l.ring.Denied[0].RevokedAt.Sub(epoch())
	for _, k := range l.ring.Keys {
		got[k.ID+" created"], got[k.ID+" activated"] = k.CreatedAt.Sub(epoch()), k.ActivatedAt.Sub(epoch())
		if k.State == rotation.Retired {
			got[k.ID+" retired"] = k.RetiredAt.Sub(epoch())
		}
	}
	want := map[string]time.Duration{
		"a created": 0, "a activated": 0, "a retired": 106 * s,
		"b published": 86 * s, "b revoked": 111 * s,
		"c created": 110 * s, "c activated": 110 * s,
		"caches until": 112*s + 15*s,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instants (-want +got):\n%s", diff)
	}
}
