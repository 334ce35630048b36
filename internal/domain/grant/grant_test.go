package grant_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/grant"
)

func now() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 700_000_000, time.UTC) }

func client() grant.Client {
	return grant.Client{
		ID: "shop.cart", Subject: "system:tokenclient:shop:cart",
		Grants:    []grant.Type{grant.ClientCredentials, grant.RefreshToken, grant.TokenExchange},
		Audiences: []string{"api", "db"}, Scopes: []string{"read", "write"}, Duration: 10 * time.Minute,
	}
}

// sent is alice's token, which somebody has sent to shop.cart.
func sent() grant.Before {
	return grant.Before{
		Subject: "alice", Audiences: []string{"shop.cart", "shop.desk"}, Scopes: []string{"admin", "read"}, Expiry: now().Add(time.Hour),
	}
}

func exchange(change func(*grant.Before)) grant.Asked {
	before := sent()
	if change != nil {
		change(&before)
	}
	return grant.Asked{Type: grant.TokenExchange, Before: &before}
}

func refreshed(change func(*grant.Before)) grant.Asked {
	asked := exchange(func(b *grant.Before) {
		*b = grant.Before{Subject: client().Subject, Audiences: []string{"api"}, Scopes: []string{"read"}}
		if change != nil {
			change(b)
		}
	})
	asked.Type = grant.RefreshToken
	return asked
}

func with(asked grant.Asked, audiences, scopes []string) grant.Asked {
	asked.Audiences, asked.Scopes = audiences, scopes
	return asked
}

// own makes it a token of shop.cart itself, for which somebody has acted.
func own(act string) func(*grant.Before) {
	return func(b *grant.Before) { b.Subject, b.Actor = client().Subject, json.RawMessage(act) }
}

// actors is the claim act of those who acted, the last of them first.
func actors(names ...string) json.RawMessage {
	if len(names) == 0 {
		return nil
	}
	text := `{"sub":"` + names[0] + `"`
	if len(names) > 1 {
		text += `,"act":` + string(actors(names[1:]...))
	}
	return json.RawMessage(text + "}")
}

func TestWhatIsGranted(t *testing.T) {
	all := grant.Terms{Subject: client().Subject, Audiences: []string{"api", "db"}, Scopes: []string{"read", "write"}, Duration: 10 * time.Minute}
	alices := grant.Terms{
		Subject: "alice", Audiences: []string{"api", "db"}, Scopes: []string{"read"}, Actor: actors(client().Subject), Duration: 10 * time.Minute,
		Delegated: true,
	}
	again := grant.Terms{Subject: client().Subject, Audiences: []string{"api"}, Scopes: []string{"read"}, Duration: 10 * time.Minute}
	but := func(terms grant.Terms, change func(*grant.Terms)) grant.Terms {
		change(&terms)
		return terms
	}
	itself := grant.Asked{Type: grant.ClientCredentials}
	for sentence, c := range map[string]struct {
		asked grant.Asked
		want  grant.Terms
	}{
		"who asks for nothing gets all":             {itself, all},
		"who asks for an audience gets that":        {with(itself, []string{"db"}, nil), but(all, func(w *grant.Terms) { w.Audiences = []string{"db"} })},
		"who asks for a scope gets that":            {with(itself, nil, []string{"write"}), but(all, func(w *grant.Terms) { w.Scopes = []string{"write"} })},
		"who asks twice gets it once, in our order": {with(itself, []string{"db", "api", "db"}, []string{"write", "read", "write"}), all},
		"a service acts for whom it got a token of": {exchange(nil), alices},
		"it acts beside who has acted before": {
			exchange(func(b *grant.Before) { b.Actor = actors("desk", "door") }),
			but(alices, func(w *grant.Terms) { w.Actor = actors(client().Subject, "desk", "door") }),
		},
		"who exchanges a token of his own acts for nobody": {
			exchange(func(b *grant.Before) { b.Subject = client().Subject }),
			but(alices, func(w *grant.Terms) { w.Subject, w.Actor, w.Delegated = client().Subject, nil, false }),
		},
		"and does not hide who has acted": {
			exchange(own(string(actors("desk")))),
			but(alices, func(w *grant.Terms) { w.Subject, w.Actor, w.Delegated = client().Subject, actors("desk"), false }),
		},
		"a token that ends sooner ends the new one, which may lose part of a second": {
			exchange(func(b *grant.Before) { b.Expiry = now().Add(90*time.Second + 300*time.Millisecond) }),
			but(alices, func(w *grant.Terms) { w.Duration = 90 * time.Second }),
		},
		"a token without scopes gives none":      {exchange(func(b *grant.Before) { b.Scopes = nil }), but(alices, func(w *grant.Terms) { w.Scopes = []string{} })},
		"a refresh gives what was granted":       {refreshed(nil), again},
		"less where the client may have less":    {refreshed(func(b *grant.Before) { b.Audiences = []string{"old", "api"}; b.Scopes = []string{"admin", "read"} }), again},
		"less where less is asked for":           {with(refreshed(func(b *grant.Before) { b.Audiences = []string{"api", "db"} }), []string{"api"}, []string{"read"}), again},
		"no scope where the client has lost all": {refreshed(func(b *grant.Before) { b.Scopes = []string{"admin"} }), but(again, func(w *grant.Terms) { w.Scopes = []string{} })},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := grant.Decide(client(), c.asked, now())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotGranted(t *testing.T) {
	itself := grant.Asked{Type: grant.ClientCredentials}
	for sentence, c := range map[string]struct {
		asked grant.Asked
		code  grant.Code
		words string
	}{
		"a grant that there is not":               {grant.Asked{Type: "password"}, grant.UnauthorizedClient, "spec.grantTypes"},
		"an audience of others":                   {with(itself, []string{"bank"}, nil), grant.InvalidTarget, "audience"},
		"one of its own and another":              {with(itself, []string{"api", "bank"}, nil), grant.InvalidTarget, "audience"},
		"an audience that only begins alike":      {with(itself, []string{"ap"}, nil), grant.InvalidTarget, "audience"},
		"an audience in other letters":            {with(itself, []string{"API"}, nil), grant.InvalidTarget, "audience"},
		"an empty audience":                       {with(itself, []string{""}, nil), grant.InvalidTarget, "audience"},
		"a scope of others":                       {with(itself, nil, []string{"read", "admin"}), grant.InvalidScope, "scope"},
		"a token for another service":             {exchange(func(b *grant.Before) { b.Audiences = []string{"api"} }), grant.InvalidGrant, "aud must contain"},
		"a token for nobody":                      {exchange(func(b *grant.Before) { b.Audiences = nil }), grant.InvalidGrant, "aud must contain"},
		"a scope of the client's alone":           {with(exchange(nil), nil, []string{"write"}), grant.InvalidScope, "scope"},
		"a scope of the token's alone":            {with(exchange(nil), nil, []string{"admin"}), grant.InvalidScope, "scope"},
		"the token's audience":                    {with(exchange(nil), []string{"shop.desk"}, nil), grant.InvalidTarget, "audience"},
		"a token in its last second":              {exchange(func(b *grant.Before) { b.Expiry = now().Add(999 * time.Millisecond) }), grant.InvalidGrant, "expires"},
		"a token that has expired":                {exchange(func(b *grant.Before) { b.Expiry = now().Add(-time.Hour) }), grant.InvalidGrant, "expires"},
		"a fifth actor":                           {exchange(func(b *grant.Before) { b.Actor = actors("1", "2", "3", "4") }), grant.InvalidGrant, "too many"},
		"an act without an end":                   {exchange(func(b *grant.Before) { b.Actor = actors(strings.Split(strings.Repeat("x ", 5000), " ")...) }), grant.InvalidGrant, "too many"},
		"an act that is no object":                {exchange(func(b *grant.Before) { b.Actor = json.RawMessage(`"desk"`) }), grant.InvalidGrant, "cannot be read"},
		"an act that is null":                     {exchange(func(b *grant.Before) { b.Actor = json.RawMessage(`null`) }), grant.InvalidGrant, "cannot be read"},
		"an act that is broken":                   {exchange(func(b *grant.Before) { b.Actor = json.RawMessage(`{"sub":`) }), grant.InvalidGrant, "cannot be read"},
		"an act whose act is no object":           {exchange(func(b *grant.Before) { b.Actor = json.RawMessage(`{"sub":"desk","act":[]}`) }), grant.InvalidGrant, "cannot be read"},
		"a broken act of its own":                 {exchange(own(`"desk"`)), grant.InvalidGrant, "cannot be read"},
		"a fifth actor of its own":                {exchange(own(string(actors("1", "2", "3", "4", "5")))), grant.InvalidGrant, "too many"},
		"a wider scope by a refresh":              {with(refreshed(nil), nil, []string{"read", "write"}), grant.InvalidScope, "scope"},
		"a wider audience by a refresh":           {with(refreshed(nil), []string{"db"}, nil), grant.InvalidTarget, "audience"},
		"a refresh where every audience was lost": {refreshed(func(b *grant.Before) { b.Audiences = []string{"old"} }), grant.InvalidGrant, "any audience"},
	} {
		t.Run(sentence, func(t *testing.T) {
			terms, err := grant.Decide(client(), c.asked, now())
			refused, ok := errors.AsType[*grant.Error](err)
			if !ok {
				t.Fatalf("got %+v and %v", terms, err)
			}
			if refused.Code != c.code || !strings.Contains(refused.Description, c.words) {
				t.Errorf("got %v, want %s with %q", refused, c.code, c.words)
			}
			if !cmp.Equal(terms, grant.Terms{}) {
				t.Errorf("it is refused, and has terms: %+v", terms)
			}
		})
	}
}

func TestAClientAsksOnlyInTheWaysThatItMay(t *testing.T) {
	ways := map[grant.Type]grant.Asked{
		grant.ClientCredentials: {Type: grant.ClientCredentials}, grant.RefreshToken: refreshed(nil), grant.TokenExchange: exchange(nil),
	}
	for may := range ways {
		c := client()
		c.Grants = []grant.Type{may}
		for way, asked := range ways {
			if _, err := grant.Decide(c, asked, now()); (err == nil) != (way == may) {
				t.Errorf("a client that may %s asks by %s: %v", may, way, err)
			}
		}
	}
}

func TestParseScope(t *testing.T) {
	for text, want := range map[string][]string{"": nil, " ": nil, "read": {"read"}, "read  write ": {"read", "write"}, "read\u00a0write": {"read\u00a0write"}} {
		if got := grant.ParseScope(text); len(got) != len(want) || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
