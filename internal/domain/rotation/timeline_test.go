package rotation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// policy has a lead of 15s and keeps a Retired key for 39s.
func policy() rotation.Policy {
	return rotation.Policy{
		Algorithm:       "ES256",
		Period:          100 * time.Second,
		VerifierCache:   10 * time.Second,
		Propagation:     3 * time.Second,
		Skew:            2 * time.Second,
		LongestToken:    30 * time.Second,
		SignerStaleness: 5 * time.Second,
	}
}

// timeline is one ring and one operator that looks exactly when it was told to, and publishes at once. Keys are named a,
// b, c in the order of their birth.
type timeline struct {
	t      *testing.T
	ring   rotation.Ring
	policy rotation.Policy
	now    time.Time
	// shows is what the copies show of a Pending key after they were written.
	shows  rotation.Presence
	minted int
	out    rotation.Outcome
	lines  []string
}

// moment is something that happens at an instant of a timeline.
type moment struct {
	at   time.Duration
	what func(*timeline)
}

func newTimeline(t *testing.T) *timeline {
	return &timeline{t: t, policy: policy(), now: epoch(), shows: rotation.Everywhere}
}

// play lets the moments happen, and everything that time brings, until the end.
func (l *timeline) play(end time.Duration, moments ...moment) []string {
	l.look()
	for {
		at := epoch().Add(end)
		if next := l.out.Next; !next.IsZero() && next.Before(at) {
			at = next
		}
		if len(moments) > 0 && !epoch().Add(moments[0].at).After(at) {
			l.now = epoch().Add(moments[0].at)
			moments[0].what(l)
			moments = moments[1:]
		} else if l.now = at; !at.Before(epoch().Add(end)) {
			return l.lines
		}
		l.look()
	}
}

// look decides until there is nothing new to decide on, as a pass that stores, publishes and reads back does.
func (l *timeline) look() {
	l.t.Helper()
	for range 5 {
		seen := rotation.Observation{}
		for _, k := range l.ring.Keys {
			seen[k.ID] = l.shows
		}
		out, err := l.ring.Advance(l.policy, seen, l.now, l.mint)
		if err != nil {
			l.t.Fatalf("advance: %v", err)
		}
		l.note(out.Transitions)
		l.ring = readBack(out.Ring)
		l.out = out
		if !out.Changed {
			return
		}
	}
	l.t.Fatalf("at %s the ring never comes to rest: %+v", l.now.Sub(epoch()), l.ring)
}

func (l *timeline) mint(string) (string, error) {
	l.minted++
	return nameOf(l.minted), nil
}

func (l *timeline) note(transitions []rotation.Transition) {
	var words []string
	for _, t := range transitions {
		name := t.KeyID
		if t.Algorithm != "ES256" {
			name += "/" + t.Algorithm
		}
		words = append(words, name+" "+string(t.Change))
	}
	if len(words) > 0 {
		l.lines = append(l.lines, fmt.Sprintf("%s: %s", l.now.Sub(epoch()), strings.Join(words, ", ")))
	}
}

// The things that can happen in a timeline.

func copiesShow(p rotation.Presence) func(*timeline) { return func(l *timeline) { l.shows = p } }

func owner(change func(p *rotation.Policy)) func(*timeline) {
	return func(l *timeline) { change(&l.policy) }
}

func requests(value string) func(*timeline) {
	return owner(func(p *rotation.Policy) { p.RotateRequest = value })
}

func algorithm(name string) func(*timeline) {
	return owner(func(p *rotation.Policy) { p.Algorithm = name })
}

func revokes(ids ...string) func(*timeline) {
	return owner(func(p *rotation.Policy) { p.Revoked = ids })
}

func period(d time.Duration) func(*timeline) {
	return owner(func(p *rotation.Policy) { p.Period = d })
}

func cache(d time.Duration) func(*timeline) {
	return owner(func(p *rotation.Policy) { p.VerifierCache = d })
}

func maxDuration(d time.Duration) func(*timeline) {
	return owner(func(p *rotation.Policy) { p.LongestToken = d })
}

// story is a row of a table of timelines.
type story struct {
	shows   rotation.Presence
	moments []moment
	end     time.Duration
	want    []string
}

func tell(t *testing.T, stories map[string]story) {
	for sentence, s := range stories {
		t.Run(sentence, func(t *testing.T) {
			l := newTimeline(t)
			if s.shows != rotation.Unknown {
				l.shows = s.shows
			}
			if diff := cmp.Diff(s.want, l.play(s.end, s.moments...)); diff != "" {
				t.Errorf("timeline (-want +got):\n%s", diff)
			}
		})
	}
}
