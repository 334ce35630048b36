package grant_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/grant"
)

// some draws of a few names, so that what is allowed, had and asked for often meets.
func some(t *rapid.T, label string, names ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(names), 0, rapid.SampledFrom([]int{0, 1, 4}).Draw(t, "at most")).Draw(t, label)
}

func drawBefore(t *rapid.T, kind grant.Type) *grant.Before {
	if kind == grant.ClientCredentials {
		return nil
	}
	before := &grant.Before{
		Subject:   rapid.SampledFrom([]string{"alice", "me"}).Draw(t, "subject"),
		Audiences: some(t, "audiences before", "my.id", "a", "b", "c"),
		Scopes:    some(t, "scopes before", "r", "w", "x"),
	}
	if kind == grant.TokenExchange {
		if rapid.IntRange(0, 3).Draw(t, "for others") > 0 { // Most are granted, or the rest is tried too seldom.
			before.Audiences = append(before.Audiences, "my.id")
		}
		// Not from a range, of which small numbers are drawn mostly: those would have expired.
		before.Expiry = now().Add(rapid.SampledFrom([]time.Duration{-time.Minute, 999 * time.Millisecond, time.Second, 90_300 * time.Millisecond, time.Hour}).Draw(t, "left"))
		before.Actor = actors(rapid.SliceOfN(rapid.SampledFrom([]string{"me", "desk"}), 0, 6).Draw(t, "actors")...)
	}
	return before
}

// TestNothingIsGrantedThatWasNotAllowed fails when Decide forgets any of its bounds.
func TestNothingIsGrantedThatWasNotAllowed(t *testing.T) {
	kinds := []grant.Type{grant.ClientCredentials, grant.RefreshToken, grant.TokenExchange}
	rapid.Check(t, func(t *rapid.T) {
		c := grant.Client{
			ID: "my.id", Subject: "me", Grants: rapid.SampledFrom([][]grant.Type{kinds, kinds, kinds[:2], kinds[1:], {kinds[0], kinds[2]}}).Draw(t, "grants"),
			Audiences: append(some(t, "audiences", "a", "b", "my.id"), "a"), Scopes: some(t, "scopes", "r", "w"),
			Duration: time.Duration(rapid.IntRange(1, 7200).Draw(t, "duration")) * time.Second,
		}
		asked := grant.Asked{Type: rapid.SampledFrom(kinds).Draw(t, "type"), Audiences: some(t, "asks for", "a", "b", "c"), Scopes: some(t, "scopes asked for", "r", "w", "x")}
		asked.Before = drawBefore(t, asked.Type)

		terms, err := grant.Decide(c, asked, now())
		if err != nil {
			if _, ok := errors.AsType[*grant.Error](err); !ok {
				t.Fatalf("%v is no error for a client", err)
			}
			return
		}
		outside := func(what string, granted []string, bounds ...[]string) {
			for _, bound := range bounds {
				if i := slices.IndexFunc(granted, func(one string) bool { return !slices.Contains(bound, one) }); i >= 0 {
					t.Fatalf("%s %q is granted, which is not in %q", what, granted[i], bound)
				}
			}
		}
		outside("type", []string{string(asked.Type)}, typesOf(c.Grants))
		outside("audience", terms.Audiences, c.Audiences)
		outside("scope", terms.Scopes, c.Scopes)
		if len(asked.Audiences) > 0 {
			outside("audience", terms.Audiences, asked.Audiences)
			outside("what is asked for is not granted: audience", asked.Audiences, terms.Audiences)
		}
		if len(asked.Scopes) > 0 {
			outside("scope", terms.Scopes, asked.Scopes)
			outside("what is asked for is not granted: scope", asked.Scopes, terms.Scopes)
		}
		if len(terms.Audiences) == 0 || terms.Duration < time.Second || terms.Duration > c.Duration || terms.Duration%time.Second != 0 {
			t.Fatalf("for %q, %s long", terms.Audiences, terms.Duration)
		}
		if asked.Before == nil {
			if terms.Subject != c.Subject || terms.Actor != nil || terms.Delegated {
				t.Fatalf("a client that asks for itself gets %+v", terms)
			}
			return
		}
		checkBefore(t, c, asked, terms, outside)
	})
}

func checkBefore(t *rapid.T, c grant.Client, asked grant.Asked, terms grant.Terms, outside func(string, []string, ...[]string)) {
	before := asked.Before
	outside("scope", terms.Scopes, before.Scopes)
	if terms.Subject != before.Subject || terms.Delegated != (before.Subject != c.Subject) {
		t.Fatalf("the subject was %q and is %q", before.Subject, terms.Subject)
	}
	if asked.Type == grant.RefreshToken {
		outside("audience", terms.Audiences, before.Audiences)
		return
	}
	outside("a token for others is exchanged: client", []string{c.ID}, before.Audiences)
	// As it will be signed: "iat" is cut to a second, so "exp" is.
	if end := now().Truncate(time.Second).Add(terms.Duration); end.After(before.Expiry) {
		t.Fatalf("it ends at %s, after what it is made from, at %s", end, before.Expiry)
	}
	was, is := readActors(t, before.Actor), readActors(t, terms.Actor)
	if terms.Delegated {
		was = append([]string{c.Subject}, was...)
	}
	if !slices.Equal(was, is) || len(is) > grant.MostActors {
		t.Fatalf("%q act, want %q", is, was)
	}
}

func typesOf(kinds []grant.Type) []string {
	var names []string
	for _, kind := range kinds {
		names = append(names, string(kind))
	}
	return names
}

func readActors(t *rapid.T, act json.RawMessage) []string {
	var names []string
	for len(act) > 0 {
		var claim struct {
			Subject string          `json:"sub"`
			Act     json.RawMessage `json:"act"`
		}
		if err := json.Unmarshal(act, &claim); err != nil {
			t.Fatal(err)
		}
		names, act = append(names, claim.Subject), claim.Act
	}
	return names
}
