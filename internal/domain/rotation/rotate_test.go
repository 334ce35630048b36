package rotation_test

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

const (
	s   = time.Second
	day = 24 * time.Hour
)

func TestOrderlyRotation(t *testing.T) {
	tell(t, map[string]story{
		"the first key signs at once, the next is published a lead before it signs, the old one stays until its tokens have expired": {
			end: 240 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"1m25s: b Generated", "1m25s: b Published", "1m40s: a Retired, b Activated", "2m19s: a Removed",
				"3m5s: c Generated", "3m5s: c Published", "3m20s: b Retired, c Activated", "3m59s: b Removed",
			},
		},
		"a copy that cannot be written delays the next key": {
			moments: []moment{{80 * s, copiesShow(rotation.Unknown)}, {200 * s, copiesShow(rotation.Everywhere)}},
			end:     240 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"1m25s: b Generated", "3m20s: b Published", "3m35s: a Retired, b Activated",
			},
		},
		"a copy that never shows the next key never lets it sign": {
			moments: []moment{{80 * s, copiesShow(rotation.Missing)}},
			end:     30 * day,
			want:    []string{"0s: a Generated, a Activated", "1m25s: b Generated"},
		},
		"a copy seen without the key makes the wait begin again": {
			moments: []moment{{90 * s, copiesShow(rotation.Missing)}, {95 * s, copiesShow(rotation.Everywhere)}},
			end:     120 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"1m25s: b Generated", "1m25s: b Published", "1m30s: b Unpublished", "1m35s: b Published", "1m50s: a Retired, b Activated",
			},
		},
		"a copy that cannot be read does not make the wait begin again": {
			moments: []moment{{90 * s, copiesShow(rotation.Unknown)}},
			end:     120 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published", "1m40s: a Retired, b Activated",
			},
		},
		"a shortened period applies to the key that signs": {
			moments: []moment{{20 * s, period(50 * s)}},
			end:     60 * s,
			want: []string{
				"0s: a Generated, a Activated", "35s: b Generated", "35s: b Published", "50s: a Retired, b Activated",
			},
		},
		"a period that is over when it is shortened still leaves the next key its lead": {
			moments: []moment{{60 * s, period(50 * s)}},
			end:     80 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m0s: b Generated", "1m0s: b Published", "1m15s: a Retired, b Activated",
			},
		},
		"a lengthened period holds back a key that is Pending": {
			moments: []moment{{90 * s, period(300 * s)}},
			end:     310 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published", "5m0s: a Retired, b Activated",
			},
		},
	})
}

func TestRequestedRotation(t *testing.T) {
	tell(t, map[string]story{
		"a request generates the next key at once, and waits its lead": {
			moments: []moment{{20 * s, requests("once")}},
			end:     130 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"20s: b Generated", "20s: b Published", "35s: a Retired, b Activated", "1m14s: a Removed",
				"2m0s: c Generated", "2m0s: c Published",
			},
		},
		"a request takes a Pending key that may sign already": {
			moments: []moment{{90 * s, period(300 * s)}, {110 * s, requests("once")}},
			end:     120 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published", "1m50s: a Retired, b Activated",
			},
		},
		"a request takes a Pending key as soon as it may sign": {
			moments: []moment{{86 * s, period(300 * s)}, {87 * s, requests("once")}},
			end:     120 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published", "1m40s: a Retired, b Activated",
			},
		},
		"a request that stays is one rotation, another value is another": {
			moments: []moment{{20 * s, requests("once")}, {60 * s, requests("twice")}},
			end:     80 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"20s: b Generated", "20s: b Published", "35s: a Retired, b Activated",
				"1m0s: c Generated", "1m0s: c Published", "1m14s: a Removed", "1m15s: b Retired, c Activated",
			},
		},
		"a request that is taken back and made again with the same value is none": {
			moments: []moment{{20 * s, requests("once")}, {40 * s, requests("")}, {50 * s, requests("once")}},
			end:     60 * s,
			want: []string{
				"0s: a Generated, a Activated", "20s: b Generated", "20s: b Published", "35s: a Retired, b Activated",
			},
		},
		"a request that is taken back before the next key signs is still honoured": {
			moments: []moment{{20 * s, requests("once")}, {25 * s, requests("")}},
			end:     60 * s,
			want: []string{
				"0s: a Generated, a Activated", "20s: b Generated", "20s: b Published", "35s: a Retired, b Activated",
			},
		},
		"two requests before the next key signs are one rotation": {
			moments: []moment{{20 * s, requests("once")}, {25 * s, requests("twice")}},
			end:     60 * s,
			want: []string{
				"0s: a Generated, a Activated", "20s: b Generated", "20s: b Published", "35s: a Retired, b Activated",
			},
		},
	})
}

func TestARequestThatAFreshRingFindsIsNone(t *testing.T) {
	l := newTimeline(t)
	requests("long ago")(l)
	want := []string{"0s: a Generated, a Activated"}
	if got := l.play(80 * s); len(got) != 1 || got[0] != want[0] {
		t.Errorf("got timeline %q, want %q", got, want)
	}
}

func TestChangeOfAlgorithm(t *testing.T) {
	tell(t, map[string]story{
		"from ES256 to RS256 to EdDSA, each waits its lead and none leaves a gap": {
			moments: []moment{{20 * s, algorithm("RS256")}, {50 * s, algorithm("EdDSA")}},
			end:     110 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"20s: b/RS256 Generated", "20s: b/RS256 Published", "35s: a Retired, b/RS256 Activated",
				"50s: c/EdDSA Generated", "50s: c/EdDSA Published", "1m5s: b/RS256 Retired, c/EdDSA Activated",
				"1m14s: a Removed", "1m44s: b/RS256 Removed",
			},
		},
		"a change that is taken back discards the Pending key": {
			moments: []moment{{20 * s, algorithm("RS256")}, {25 * s, algorithm("ES256")}},
			end:     90 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"20s: b/RS256 Generated", "20s: b/RS256 Published", "25s: b/RS256 Discarded",
				"1m25s: c Generated", "1m25s: c Published",
			},
		},
		"a second change replaces the Pending key of the first": {
			moments: []moment{{20 * s, algorithm("RS256")}, {25 * s, algorithm("EdDSA")}},
			end:     45 * s,
			want: []string{
				"0s: a Generated, a Activated",
				"20s: b/RS256 Generated", "20s: b/RS256 Published", "25s: b/RS256 Discarded, c/EdDSA Generated", "25s: c/EdDSA Published",
				"40s: a Retired, c/EdDSA Activated",
			},
		},
		"a change while the next key is Pending replaces it, and the old key signs on": {
			moments: []moment{{90 * s, algorithm("RS256")}},
			end:     110 * s,
			want: []string{
				"0s: a Generated, a Activated", "1m25s: b Generated", "1m25s: b Published",
				"1m30s: b Discarded, c/RS256 Generated", "1m30s: c/RS256 Published", "1m45s: a Retired, c/RS256 Activated",
			},
		},
	})
}

// TestAnOperatorThatSleptStillWaits wakes ten days late: the next key is published then, and waits its lead.
func TestAnOperatorThatSleptStillWaits(t *testing.T) {
	l := newTimeline(t)
	l.look()
	for _, at := range []time.Duration{10 * day, 10*day + 14*s, 10*day + 15*s} {
		l.now = epoch().Add(at)
		l.look()
	}
	want := "[0s: a Generated, a Activated 240h0m0s: b Generated 240h0m0s: b Published 240h0m15s: a Retired, b Activated]"
	if got := sprint(l.lines); got != want {
		t.Errorf("got timeline %s, want %s", got, want)
	}
}

func TestAFullSetHoldsBackTheNextKey(t *testing.T) {
	l := newTimeline(t)
	maxDuration(300 * s)(l)
	var moments []moment
	for i := range 9 {
		moments = append(moments, moment{time.Duration(20*i+20) * s, requests(string(rune('1' + i)))})
	}
	l.play(190*s, moments...)
	if len(l.ring.Keys) != 9 || !l.out.Crowded {
		t.Fatalf("got %d keys and crowded %t, want 9 and true", len(l.ring.Keys), l.out.Crowded)
	}
	oldest := l.ring.Keys[8].RemoveAfter()
	if !l.out.Next.Equal(oldest) {
		t.Errorf("next is %s, want %s, when the oldest key leaves", l.out.Next, oldest)
	}
	l.now = oldest
	l.look()
	if next := l.ring.Keys[0]; next.ID != "j" || next.State != rotation.Pending || l.out.Crowded {
		t.Errorf("got newest key %s, %s, want j, Pending, when the oldest has left", next.ID, next.State)
	}
}
