package rotation_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

func TestPolicyDurations(t *testing.T) {
	p := policy()
	if got := p.Lead(); got != 15*s {
		t.Errorf("got lead %s, want 15s: cache 10s, propagation 3s and skew 2s", got)
	}
	if got := p.Margin(); got != 9*s {
		t.Errorf("got margin %s, want 9s: twice the skew of 2s and staleness of 5s", got)
	}
	p.Propagation = 6 * s
	if got := p.Margin(); got != 12*s {
		t.Errorf("got margin %s, want 12s: twice the skew of 2s, propagation of 6s, and 2s in which the ring is stored", got)
	}
}

func TestStoreWithin(t *testing.T) {
	for staleness, want := range map[time.Duration]time.Duration{
		0: time.Second, 3 * time.Second: time.Second, 5 * time.Second: 2 * time.Second, time.Minute: 10 * time.Second, time.Hour: 10 * time.Second,
	} {
		if got := (rotation.Policy{SignerStaleness: staleness}).StoreWithin(); got != want {
			t.Errorf("staleness %s: a ring is stored within %s, want %s", staleness, got, want)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*rotation.Policy)
		want   []string
	}{
		"the policy of these tests": {func(*rotation.Policy) {}, nil},
		"a period of just more than the lead": {
			func(p *rotation.Policy) { p.Period, p.LongestToken = 16*s, 1*s },
			nil,
		},
		"a period of the lead": {
			func(p *rotation.Policy) { p.Period = 15 * s },
			[]string{"period 15s is not longer than 15s", "verifierCacheDuration 10s", "propagationDelay 3s", "clockSkew 2s", "lengthen period"},
		},
		"no period": {
			func(p *rotation.Policy) { *p = rotation.Policy{} },
			[]string{"period 0s is not longer than 0s"},
		},
		"tokens for which nine keys are published at once": {
			func(p *rotation.Policy) { p.LongestToken = 690 * s },
			nil,
		},
		"tokens for which ten keys are published at once": {
			func(p *rotation.Policy) { p.LongestToken = 691 * s },
			[]string{"period 1m40s with maxDuration 11m31s would publish 10 keys at once, at most 9", "lengthen period or shorten maxDuration"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := policy()
			c.change(&p)
			err := p.Check()
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want a refusal: %t", err, c.want != nil)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want %q in it", err, part)
				}
			}
		})
	}
}

// TestEachKeySignsForItsPeriodAndThePolicyCountsThem is what users see when nothing goes wrong: keys hand over exactly a
// period apart, and the most that are published at once is what Policy.Check judges by, at most one less.
func TestEachKeySignsForItsPeriodAndThePolicyCountsThem(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := drawPolicy(r)
		l := newTimeline(t)
		l.policy = p
		most := 0
		var activated []time.Time
		for l.look(); len(activated) < 24; l.look() {
			active, _ := l.ring.ActiveKey()
			if n := len(activated); n == 0 || active.ActivatedAt.After(activated[n-1]) {
				activated = append(activated, active.ActivatedAt)
			}
			most = max(most, len(l.ring.Keys))
			if l.out.Crowded {
				r.Fatalf("%s: the set is full with %d keys", describe(p), len(l.ring.Keys))
			}
			l.now = l.out.Next
		}
		for i, at := range activated {
			if want := epoch().Add(time.Duration(i) * p.Period); !at.Equal(want) {
				r.Fatalf("%s: key %d signs from %s, want %s", describe(p), i, at.Sub(epoch()), want.Sub(epoch()))
			}
		}
		n, least := p.KeysAtOnce(), p.KeysAtOnce()-1
		if p.Lead() == 0 {
			least-- // The next key is generated, published and signs all at once.
		}
		if most > n || most < least {
			r.Fatalf("%s: %d keys are published at once, the policy counts %d", describe(p), most, n)
		}
	})
}

// TestAnyPolicyKeepsOneSignerAndAtMostTenKeys needs no admission: whatever is asked for, one key signs, and the set has
// one to ten keys.
func TestAnyPolicyKeepsOneSignerAndAtMostTenKeys(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		longest := rapid.SampledFrom([]int{2, 20, 1 << 31}).Draw(r, "longest duration")
		seconds := rapid.Map(rapid.IntRange(0, longest), func(n int) time.Duration { return time.Duration(n) * s })
		seldom := func(label string) bool { return rapid.IntRange(0, 19).Draw(r, label) == 19 }
		var ring rotation.Ring
		now, minted := epoch(), 0
		r.Repeat(map[string]func(*rapid.T){"look": func(r *rapid.T) {
			p := rotation.Policy{
				Algorithm: "ES256", Period: seconds.Draw(r, "period"), LongestToken: 100*day + seconds.Draw(r, "token"),
				VerifierCache: seconds.Draw(r, "cache"), Propagation: seconds.Draw(r, "propagation"),
				Skew: seconds.Draw(r, "skew"), SignerStaleness: seconds.Draw(r, "staleness"),
				RotateRequest: rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "request"),
			}
			if seldom("another algorithm") {
				p.Algorithm = "RS256"
			}
			seen := rotation.Observation{}
			for _, k := range ring.Keys {
				seen[k.ID] = rotation.Everywhere
				if seldom("missing") {
					seen[k.ID] = rotation.Missing
				}
				if seldom("revoked") && seldom("really") {
					p.Revoked = append(p.Revoked, k.ID)
				}
			}
			out, err := ring.Advance(p, seen, now, func(string) (string, error) {
				minted++
				return sprint(minted), nil
			})
			if err != nil {
				r.Fatalf("advance: %v", err)
			}
			ring = out.Ring
			if err := ring.Check(); err != nil {
				r.Fatalf("%s: %v", describe(p), err)
			}
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, s, 30 * s, day}).Draw(r, "wait"))
		}})
	})
}
