package rotation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

func TestOnlyKeysThatSignOrWillNeedTheirPrivateHalf(t *testing.T) {
	for state, want := range map[rotation.State]bool{rotation.Pending: true, rotation.Active: true, rotation.Retired: false, "": false} {
		if got := (rotation.Key{State: state}).NeedsPrivate(); got != want {
			t.Errorf("a key that is %q needs its private half: %t, want %t", state, got, want)
		}
	}
}

func TestAnEmptyRing(t *testing.T) {
	var ring rotation.Ring
	if k, ok := ring.ActiveKey(); ok {
		t.Errorf("got %+v, want no key that signs", k)
	}
	if ring.IsDenied("a") || ring.IsRecovered() {
		t.Error("it denies a key, or was recovered")
	}
}

// TestAdvanceLeavesItsRingAlone compares the ring before and after an answer in which everything happens to it: a key is
// retired, one revoked, one removed.
func TestAdvanceLeavesItsRingAlone(t *testing.T) {
	l := newTimeline(t)
	l.play(100*s, moment{30 * s, requests("now")}, moment{99 * s, requests("again")})
	before := readBack(l.ring)
	p := l.policy
	p.Revoked = []string{"a"}
	p.LongestToken = day
	out, err := l.ring.Advance(p, rotation.Observation{"c": rotation.Everywhere}, epoch().Add(day), l.mint)
	if err != nil || len(out.Transitions) < 2 {
		t.Fatalf("got %+v, %v, want several transitions", out.Transitions, err)
	}
	if diff := cmp.Diff(before, l.ring); diff != "" {
		t.Errorf("the caller's ring (-before +after):\n%s", diff)
	}
}

func TestGenerationCountsChanges(t *testing.T) {
	l := newTimeline(t)
	var got []int64
	for _, at := range []time.Duration{0, 0, 50 * s, 85 * s, 100 * s, 139 * s} {
		l.now = epoch().Add(at)
		l.look()
		got = append(got, l.ring.Generation)
	}
	// At 85s two changes are stored: the key, and that it is published.
	if diff := cmp.Diff([]int64{1, 1, 1, 3, 4, 5}, got); diff != "" {
		t.Errorf("generations (-want +got):\n%s", diff)
	}
}

func TestAKeyThatCannotBeGenerated(t *testing.T) {
	errNoEntropy := errors.New("no entropy")
	_, err := rotation.Ring{}.Advance(policy(), nil, epoch(), func(string) (string, error) { return "", errNoEntropy })
	if !errors.Is(err, errNoEntropy) || !strings.HasPrefix(fmt.Sprint(err), "generate ES256 key: ") {
		t.Errorf("got %v, want the cause and what was tried", err)
	}
}

func TestCheckRefusesRingsThatNobodyMade(t *testing.T) {
	at := epoch()
	active := rotation.Key{ID: "a", State: rotation.Active, CreatedAt: at, ActivatedAt: at}
	pending := rotation.Key{ID: "b", State: rotation.Pending, CreatedAt: at}
	retired := rotation.Key{ID: "c", State: rotation.Retired, CreatedAt: at, RetiredAt: at}
	with := func(k rotation.Key, change func(*rotation.Key)) rotation.Key { change(&k); return k }
	var many []rotation.Key
	for i := range 10 {
		many = append(many, with(retired, func(k *rotation.Key) { k.ID = sprint(i) }))
	}
	for sentence, c := range map[string]struct {
		ring rotation.Ring
		want string
	}{
		"one key of each state":        {rotation.Ring{Keys: []rotation.Key{pending, active, retired}}, ""},
		"one that signs, nine Retired": {rotation.Ring{Keys: append([]rotation.Key{active}, many[1:]...)}, ""},
		"no key":                       {rotation.Ring{}, "ring has 0 keys, want 1 to 10"},
		"eleven keys":                  {rotation.Ring{Keys: append([]rotation.Key{active}, many...)}, "ring has 11 keys, want 1 to 10"},
		"none that signs":              {rotation.Ring{Keys: []rotation.Key{pending, retired}}, "ring has 0 Active keys, want 1"},
		"two that sign": {
			rotation.Ring{Keys: []rotation.Key{active, with(active, func(k *rotation.Key) { k.ID = "d" })}},
			"ring has 2 Active keys, want 1",
		},
		"one key twice":           {rotation.Ring{Keys: []rotation.Key{active, active}}, `key "a" is in the ring twice`},
		"an unknown state":        {rotation.Ring{Keys: []rotation.Key{with(active, func(k *rotation.Key) { k.State = "Lost" })}}, `key "a": state "Lost" is none of`},
		"a fraction of a second":  {rotation.Ring{Keys: []rotation.Key{with(active, func(k *rotation.Key) { k.ActivatedAt = at.Add(1) })}}, `key "a": an instant is not a whole second`},
		"a missing instant":       {rotation.Ring{Keys: []rotation.Key{active, with(retired, func(k *rotation.Key) { k.RetiredAt = time.Time{} })}}, `key "c": an instant that its state needs is missing`},
		"a negative token life":   {rotation.Ring{Keys: []rotation.Key{with(active, func(k *rotation.Key) { k.LongestToken = -1 })}}, `key "a": has a negative duration`},
		"more denials than bound": {rotation.Ring{Keys: []rotation.Key{active}, Denied: make([]rotation.Denial, 65)}, "ring denies 65 keys, want at most 64"},
	} {
		t.Run(sentence, func(t *testing.T) {
			err := c.ring.Check()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
