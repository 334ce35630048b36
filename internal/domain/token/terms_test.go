package token_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
)

func TestRenewalTime(t *testing.T) {
	cases := map[string]struct {
		life, renewBefore, endsAfter time.Duration
		jitter                       float64
		want                         time.Duration
	}{
		"by default after two thirds of the life":                {life: time.Hour, want: 40 * time.Minute},
		"the jitter takes up to a tenth of the life off":         {life: time.Hour, jitter: 1, want: 34 * time.Minute},
		"half the jitter takes half of that":                     {life: time.Hour, jitter: 0.5, want: 37 * time.Minute},
		"the default is cut to whole seconds":                    {life: 100 * time.Second, jitter: 0.1, want: 65 * time.Second},
		"renewBefore is exact, whatever the jitter":              {life: time.Hour, renewBefore: time.Minute, jitter: 1, want: 59 * time.Minute},
		"renewBefore can leave a single second":                  {life: time.Hour, renewBefore: time.Hour - time.Second, want: time.Second},
		"renewBefore as long as the life counts for nothing":     {life: time.Hour, renewBefore: time.Hour, want: 40 * time.Minute},
		"renewBefore longer than the life counts for nothing":    {life: 3 * time.Minute, renewBefore: time.Hour, jitter: 1, want: 102 * time.Second},
		"a year needs no arithmetic beyond 64 bits":              {life: 8760 * time.Hour, jitter: 1, want: 8760 * time.Hour * 17 / 30},
		"a life of two seconds is renewed after one":             {life: 2 * time.Second, jitter: 1, want: time.Second},
		"a life of a second is renewed when it ends, not before": {life: time.Second, jitter: 1, want: time.Second},
		"what ends with the request is never renewed":            {life: time.Hour, endsAfter: time.Hour, renewBefore: time.Minute, jitter: 1, want: time.Hour},
		"what ends before the request is renewed":                {life: time.Hour, endsAfter: time.Hour + time.Second, want: 40 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := token.Request{Duration: c.life, RenewBefore: c.renewBefore, Jitter: c.jitter}
			if c.endsAfter != 0 {
				r.ExpiresAt = at(c.endsAfter)
			}
			if diff := cmp.Diff(at(c.want), r.RenewalTime(at(0), at(c.life))); diff != "" {
				t.Errorf("renewal (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheDefaultRenewalLeavesAThirdOfTheLife bounds the jitter for every life, and finds a renewal that runs hot.
func TestTheDefaultRenewalLeavesAThirdOfTheLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := drawSeconds(t, "life", 1, 365*24*3600)
		r := token.Request{Duration: life, Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter")}
		after := r.RenewalTime(at(0), at(life)).Sub(at(0))
		earliest, latest := life*2/3-life/10-time.Second, max(life*2/3, time.Second)
		if after < earliest || after > latest || after < time.Second || after%time.Second != 0 {
			t.Fatalf("a token of %s is renewed after %s, want whole seconds from %s to %s", life, after, max(earliest, time.Second), latest)
		}
	})
}

func drawSeconds(t *rapid.T, name string, least, most int) time.Duration {
	return time.Duration(rapid.IntRange(least, most).Draw(t, name)) * time.Second
}

func TestExpiry(t *testing.T) {
	cases := map[string]struct {
		ends, want time.Time
	}{
		"a request without end gives the whole duration": {time.Time{}, at(time.Hour)},
		"a later end changes nothing":                    {at(time.Hour + time.Second), at(time.Hour)},
		"an earlier end cuts the life":                   {at(time.Hour - time.Second), at(time.Hour - time.Second)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := token.Request{Duration: time.Hour, ExpiresAt: c.ends}
			if diff := cmp.Diff(c.want, r.Expiry(at(0))); diff != "" {
				t.Errorf("expiry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLawful(t *testing.T) {
	ring := func(longest time.Duration) token.Keys {
		return token.Keys{Ring: rotation.Ring{Keys: []rotation.Key{
			{ID: "next", State: rotation.Pending, LongestToken: time.Hour},
			{ID: "active", State: rotation.Active, LongestToken: longest},
		}}}
	}
	without := func(change func(*token.Keys)) token.Keys {
		keys := ring(time.Hour)
		change(&keys)
		return keys
	}
	const tooLong = "a life of 1h0m0s was asked for, and the key that signs is kept only for tokens of 59m59s"
	const noKey = "no key signs, because the one that did was revoked: another follows"
	cases := map[string]struct {
		keys token.Keys
		ends time.Time
		now  time.Time
		want token.Terms
		err  string
	}{
		"the longest life that the ring has recorded": {keys: ring(time.Hour), now: at(0), want: token.Terms{IssuedAt: at(0), Expiry: at(time.Hour), KeyID: "active"}},
		"instants are cut to whole seconds, in UTC": {
			keys: ring(time.Hour), now: at(time.Second - 1).In(time.FixedZone("", 3600)),
			want: token.Terms{IssuedAt: at(0), Expiry: at(time.Hour), KeyID: "active"},
		},
		"a longer life than the ring has recorded": {keys: ring(time.Hour - time.Second), now: at(0), err: tooLong},
		"a longer life than recorded that the request's end cuts": {
			keys: ring(time.Minute), ends: at(time.Minute), now: at(0),
			want: token.Terms{IssuedAt: at(0), Expiry: at(time.Minute), KeyID: "active"},
		},
		"the last second of a request": {
			keys: ring(time.Hour), ends: at(time.Second), now: at(0),
			want: token.Terms{IssuedAt: at(0), Expiry: at(time.Second), KeyID: "active"},
		},
		"a request that ends now":            {keys: ring(time.Hour), ends: at(0), now: at(0), err: "the token would have expired when it was issued"},
		"a request that ends in this second": {keys: ring(time.Hour), ends: at(0), now: at(1), err: "the token would have expired when it was issued"},
		"a request that has ended long ago":  {keys: ring(time.Hour), ends: at(-time.Hour), now: at(0), err: "the token would have expired when it was issued"},

		"a ring without a key that signs":        {keys: without(func(k *token.Keys) { k.Ring.Keys = k.Ring.Keys[:1] }), now: at(0), err: noKey},
		"an empty ring":                          {now: at(0), err: noKey},
		"a key that the spec revokes":            {keys: without(func(k *token.Keys) { k.Revoked = []string{"active"} }), now: at(0), err: noKey},
		"a key on the deny list of its own ring": {keys: without(func(k *token.Keys) { k.Ring.Denied = []rotation.Denial{{ID: "active"}} }), now: at(0), err: noKey},
		"another key's revocation": {
			keys: without(func(k *token.Keys) { k.Revoked = []string{"next"} }), now: at(0),
			want: token.Terms{IssuedAt: at(0), Expiry: at(time.Hour), KeyID: "active"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := token.Lawful(token.Request{Duration: time.Hour, ExpiresAt: c.ends}, c.keys, c.now)
			if diff := cmp.Diff(c.want, got); diff != "" || got.IssuedAt.Location() != time.UTC {
				t.Errorf("terms issued in %s (-want +got):\n%s", got.IssuedAt.Location(), diff)
			}
			notLawful, ok := errors.AsType[*token.NotLawfulError](err)
			switch {
			case c.err == "" && err == nil:
			case !ok || notLawful.Error() != c.err:
				t.Errorf("error is %v, want %q", err, c.err)
			}
		})
	}
}
