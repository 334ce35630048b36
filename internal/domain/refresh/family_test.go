package refresh_test

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 999_999_999, time.UTC) }

func lifetimes() refresh.Lifetimes {
	return refresh.Lifetimes{Idle: time.Hour, Absolute: 90 * time.Minute}
}

func TestWhatATokenIsWorth(t *testing.T) {
	family, first := refresh.Start(refresh.Grant{}, lifetimes(), start())
	rotated, second := family.Rotate(first, time.Hour, start().Add(50*time.Minute))
	whole := start().Truncate(time.Second)
	for name, c := range map[string]struct {
		family refresh.Family
		token  refresh.Token
		now    time.Time
		want   refresh.State
	}{
		"the first, at once":                           {family, first, start(), refresh.Usable},
		"the first, in its last moment":                {family, first, whole.Add(time.Hour - 1), refresh.Usable},
		"the first, after it was not used in time":     {family, first, whole.Add(time.Hour), refresh.Idle},
		"the first, after it was used":                 {rotated, first, start().Add(51 * time.Minute), refresh.Reused},
		"the first, used, after its own end":           {rotated, first, start().Add(61 * time.Minute), refresh.Reused},
		"the first, used, after the end of the family": {rotated, first, start().Add(90 * time.Minute), refresh.Expired},
		"the second": {rotated, second, start().Add(51 * time.Minute), refresh.Usable},
		"the second, in the last moment of the family":                 {rotated, second, whole.Add(90*time.Minute - 1), refresh.Usable},
		"the second, at the end of the family and before its own":      {rotated, second, whole.Add(90 * time.Minute), refresh.Expired},
		"the newest of a family that was revoked":                      {rotated.Revoke(refresh.ReasonClient, start()), second, start(), refresh.Revoked},
		"a used one of a family that was revoked":                      {rotated.Revoke(refresh.ReasonClient, start()), first, start(), refresh.Revoked},
		"one of another family":                                        {family, newToken(), start(), refresh.Unknown},
		"none":                                                         {family, refresh.Token{}, start(), refresh.Unknown},
		"none, of no family":                                           {refresh.Family{}, refresh.Token{}, start(), refresh.Unknown},
		"one of no family":                                             {refresh.Family{}, first, start(), refresh.Unknown},
		"the first, by a clock that runs behind":                       {family, first, start().Add(-time.Hour), refresh.Usable},
		"one that nobody issued, by somebody who has had the family's": {family, second, start(), refresh.Reused},
	} {
		if got := c.family.Judge(c.token, c.now); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	if got, want := rotated.EndsAt(), whole.Add(90*time.Minute); !got.Equal(want) {
		t.Errorf("nothing can be used from %s on, want %s", got, want)
	}
}

func TestTheFirstRevocationOfAFamilyStands(t *testing.T) {
	family, _ := refresh.Start(refresh.Grant{}, lifetimes(), start())
	once := family.Revoke(refresh.ReasonReused, start().Add(time.Minute))
	twice := once.Revoke(refresh.ReasonClient, start().Add(time.Hour))
	if twice.Reason != refresh.ReasonReused || !twice.RevokedAt.Equal(once.RevokedAt) {
		t.Errorf("got %s at %s, want %s at %s", twice.Reason, twice.RevokedAt, once.Reason, once.RevokedAt)
	}
}
