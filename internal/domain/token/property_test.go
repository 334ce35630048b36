package token_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
)

// drawRequest draws any request that admission lets through, at most as long as longest.
func drawRequest(t *rapid.T, longest time.Duration) token.Request {
	raw, err := json.Marshal(drawClaims().Draw(t, "claims"))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := token.ParseClaims(raw)
	if err != nil {
		t.Skip("refused at admission: ", err)
	}
	r := token.Request{
		Issuer: "https://issuer.example", Subject: rapid.StringN(1, 20, -1).Draw(t, "subject"),
		Audiences: rapid.SliceOfN(rapid.StringN(1, 20, -1), 1, 3).Draw(t, "audiences"),
		Type:      rapid.SampledFrom([]string{token.TypeJWT, token.TypeAccessToken}).Draw(t, "type"),
		Claims:    claims,
		Duration:  drawLife(t, "duration", longest),
		Skew:      drawSeconds(t, "skew", 0, 3600),
		Jitter:    rapid.Float64Range(0, 1).Draw(t, "jitter"),
	}
	if rapid.Bool().Draw(t, "has renewBefore") {
		r.RenewBefore = drawLife(t, "renewBefore", longest)
	}
	if rapid.Bool().Draw(t, "ends") {
		r.ExpiresAt = at(drawLife(t, "ends after", 5*longest))
	}
	return r
}

// drawLife draws a short life as often as any other: rounding shows there.
func drawLife(t *rapid.T, name string, longest time.Duration) time.Duration {
	seconds := int(longest / time.Second)
	return time.Duration(rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, seconds)).Draw(t, name)) * time.Second
}

func drawClaims() *rapid.Generator[map[string]any] {
	value := rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Float64Range(-1e300, 1e300).AsAny(), rapid.String().AsAny(),
		rapid.SampledFrom([]any{
			json.Number("1.0"), json.Number("1E+2"), json.Number("-0"), json.Number("123456789012345678901234567890"), json.Number("1e999"),
			"<&>\u2028\ufffd",
			[]any{},
			map[string]any{"": nil, "iss": "inner"},
		}),
		rapid.SliceOfN(rapid.String(), 0, 3).AsAny(), rapid.MapOfN(rapid.String(), rapid.Int().AsAny(), 0, 3).AsAny(),
	)
	return rapid.MapOfN(rapid.StringN(0, 8, -1), value, 0, 4)
}

// someInstant is until then, at any fraction of a second, its ends more often than the rest.
func someInstant(t *rapid.T, from, until time.Time) time.Time {
	span := int64(until.Sub(from))
	return from.Add(time.Duration(rapid.OneOf(rapid.SampledFrom([]int64{0, span / 2, max(span-1, 0)}), rapid.Int64Range(0, max(span-1, 0))).Draw(t, "instant")))
}

// TestWhatWasIssuedIsKeptUntilItsRenewal follows one request through some lives. It fails when what is issued is not what
// is judged good, when a renewal is computed from the life that was asked for and not from the real one, when a renewal is
// due at once, and when a token outlives its request.
func TestWhatWasIssuedIsKeptUntilItsRenewal(t *testing.T) {
	signers := signers{}
	keys := token.Keys{Ring: rotation.Ring{Keys: []rotation.Key{
		{ID: signers.add(t), State: rotation.Active, LongestToken: 8760 * time.Hour},
	}}}
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t, 8760*time.Hour)
		now := at(time.Duration(rapid.IntRange(0, 999_999_999).Draw(t, "fraction")))
		var have *jose.Token
		for life := range 5 {
			decision := token.Judge(r, have, keys, now)
			if decision.Action == token.Withdraw {
				if r.ExpiresAt.IsZero() || now.Before(r.ExpiresAt) {
					t.Fatalf("at %s a request that ends at %s is withdrawn", now, r.ExpiresAt)
				}
				return
			}
			if decision.Action != token.Issue {
				t.Fatalf("life %d: at %s the decision is %+v", life, now, decision)
			}
			terms, err := token.Lawful(r, keys, now)
			if err != nil {
				t.Fatalf("life %d: at %s: %v", life, now, err)
			}
			if have != nil && terms.IssuedAt.Sub(have.IssuedAt) < time.Second {
				t.Fatalf("issued at %s and again at %s", have.IssuedAt, terms.IssuedAt)
			}
			have = signers.issue(t, r, terms.KeyID, fmt.Sprint(life), terms.IssuedAt)
			mustHonour(t, r, *have, terms)
			late := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(2*r.Duration))).Draw(t, "late")
			now = mustKeep(t, r, have, keys, now).Add(time.Duration(late))
		}
	})
}

// mustHonour compares what was signed with what was allowed and asked for.
func mustHonour(t *rapid.T, r token.Request, have jose.Token, terms token.Terms) {
	if !have.IssuedAt.Equal(terms.IssuedAt) || !have.Expiry.Equal(terms.Expiry) || have.KeyID != terms.KeyID {
		t.Fatalf("%+v was signed under %+v", have, terms)
	}
	if !r.ExpiresAt.IsZero() && have.Expiry.After(r.ExpiresAt) {
		t.Fatalf("a token lives until %s, its request until %s", have.Expiry, r.ExpiresAt)
	}
	if life := have.Expiry.Sub(have.IssuedAt); life > r.Duration || life < time.Second {
		t.Fatalf("a token lives %s, asked for were %s", life, r.Duration)
	}
}

// mustKeep looks at a token at some instants before its renewal and returns that.
func mustKeep(t *rapid.T, r token.Request, have *jose.Token, keys token.Keys, now time.Time) time.Time {
	due := r.RenewalTime(have.IssuedAt, have.Expiry)
	if due.After(have.Expiry) {
		t.Fatalf("a token that expires at %s is renewed at %s", have.Expiry, due)
	}
	for range 3 {
		look := someInstant(t, now, due)
		got := token.Judge(r, have, keys, look)
		if want := (token.Decision{Action: token.Keep, Next: due}); got != want {
			t.Fatalf("at %s the decision is %+v, want %+v", look, got, want)
		}
	}
	return due
}
