package rotation_test

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

func TestTheNextChangeOfThePublishedSetIsKnown(t *testing.T) {
	for sentence, c := range map[string]struct {
		at      time.Duration
		moments []moment
		want    time.Duration
	}{
		"the next key comes a lead before the period is over":       {at: 10 * s, want: 85 * s},
		"with a key that waits, nothing is planned":                 {at: 90 * s, want: -1},
		"a Retired key leaves before the next key comes":            {at: 110 * s, want: 139 * s},
		"when it has left, the next key comes":                      {at: 150 * s, want: 185 * s},
		"a rotation that is asked for while a key waits plans none": {at: 90 * s, moments: []moment{{88 * s, requests("now")}}, want: -1},
		"while the next of two Retired keys has yet to leave, it is next": {
			at: 120 * s, moments: []moment{{101 * s, requests("now")}}, want: 139 * s,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			l := newTimeline(t)
			l.play(c.at, c.moments...)
			got := l.ring.NextSetChange(l.policy)
			switch {
			case c.want < 0 && !got.IsZero():
				t.Errorf("the set changes at %s, want never as things are", got.Sub(epoch()))
			case c.want >= 0 && got.Sub(epoch()) != c.want:
				t.Errorf("the set changes at %s, want %s", got.Sub(epoch()), c.want)
			}
		})
	}
}

func TestAChangeThatIsOverdueLiesInThePast(t *testing.T) {
	l := newTimeline(t)
	l.look()
	l.policy.Algorithm = "EdDSA"
	if got := l.ring.NextSetChange(l.policy); !got.Equal(epoch()) {
		t.Errorf("the set changes at %s, want since the key signs", got.Sub(epoch()))
	}
	if got := (rotation.Ring{}).NextSetChange(l.policy); !got.IsZero() {
		t.Errorf("an empty ring changes at %s", got)
	}
}
