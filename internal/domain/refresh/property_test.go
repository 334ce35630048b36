package refresh_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// model is a family as one would tell it: all tokens that were ever issued, in seconds since its start.
type model struct {
	ends    int
	revoked bool
	tokens  []issued
}

type issued struct {
	token refresh.Token
	ends  int
	used  bool
}

// worth tells what a token is worth without any of the ways in which the package finds out.
func (m *model) worth(i issued, now int) refresh.State {
	switch {
	case m.revoked:
		return refresh.Revoked
	case now >= m.ends:
		return refresh.Expired
	case i.used:
		return refresh.Reused
	case now >= i.ends:
		return refresh.Idle
	default:
		return refresh.Usable
	}
}

// TestOnlyTheNewestTokenOfALivingFamilyCanBeUsedOnce uses old and new tokens in any order and at any time.
func TestOnlyTheNewestTokenOfALivingFamilyCanBeUsedOnce(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		life := rapid.IntRange(1, 60)
		idle, absolute := life.Draw(t, "idle"), life.Draw(t, "absolute")
		fraction := time.Duration(rapid.IntRange(0, 999_999_999).Draw(t, "fraction"))
		at := func(now int) time.Time { return begin.Add(time.Duration(now)*time.Second + fraction) }

		family, token := refresh.Start(refresh.Grant{},
			refresh.Lifetimes{Idle: time.Duration(idle) * time.Second, Absolute: time.Duration(absolute) * time.Second}, at(0))
		m := &model{ends: absolute, tokens: []issued{{token: token, ends: min(idle, absolute)}}}
		now := 0
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { now += rapid.IntRange(0, 20).Draw(t, "seconds") },
			"use": func(t *rapid.T) {
				used := &m.tokens[rapid.IntRange(0, len(m.tokens)-1).Draw(t, "token")]
				want := m.worth(*used, now)
				if got := family.Judge(used.token, at(now)); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
				switch want {
				case refresh.Usable:
					used.used = true
					idle := life.Draw(t, "idle of the successor")
					family, token = family.Rotate(used.token, time.Duration(idle)*time.Second, at(now))
					m.tokens = append(m.tokens, issued{token: token, ends: min(now+idle, m.ends)})
				case refresh.Reused:
					family, m.revoked = family.Revoke(refresh.ReasonReused, at(now)), true
				default:
				}
			},
			"": func(t *rapid.T) {
				usable, over := 0, !at(now).Before(family.EndsAt())
				for i, one := range m.tokens {
					state := family.Judge(one.token, at(now))
					if want := m.worth(one, now); state != want {
						t.Fatalf("token %d is %s, want %s", i, state, want)
					}
					if state == refresh.Usable {
						usable++
					}
				}
				if usable > 1 || usable > 0 && over {
					t.Fatalf("%d tokens can be used, and EndsAt says that none can: %v", usable, over)
				}
			},
		})
	})
}
