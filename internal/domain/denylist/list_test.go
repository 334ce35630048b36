package denylist_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/jose"
)

func at(seconds int64) time.Time { return time.Unix(1_800_000_000+seconds, 0).UTC() }

func token() denylist.Token {
	return denylist.Token{ID: "one", Subject: "alice", ClientID: "shop.web", KeyID: "k1", IssuedAt: at(0)}
}

func TestATokenIsDeniedByWhatNamesIt(t *testing.T) {
	for sentence, c := range map[string]struct {
		entry denylist.Entry
		want  bool
	}{
		"its ID":                                 {denylist.Entry{Kind: denylist.TokenID, Value: "one"}, true},
		"another ID":                             {denylist.Entry{Kind: denylist.TokenID, Value: "two"}, false},
		"its subject, the second after":          {denylist.Entry{Kind: denylist.Subject, Value: "alice", IssuedBefore: at(1)}, true},
		"its subject, the very second":           {denylist.Entry{Kind: denylist.Subject, Value: "alice", IssuedBefore: at(0)}, false},
		"another subject":                        {denylist.Entry{Kind: denylist.Subject, Value: "bob", IssuedBefore: at(1)}, false},
		"its client":                             {denylist.Entry{Kind: denylist.ClientID, Value: "shop.web", IssuedBefore: at(1)}, true},
		"its subject's name as that of a client": {denylist.Entry{Kind: denylist.ClientID, Value: "alice", IssuedBefore: at(1)}, false},
		"its key":                                {denylist.Entry{Kind: denylist.KeyID, Value: "k1"}, true},
		"its key, before it was issued":          {denylist.Entry{Kind: denylist.KeyID, Value: "k1", IssuedBefore: at(0)}, false},
		"everything":                             {denylist.Entry{IssuedBefore: at(1)}, true},
		"everything before":                      {denylist.Entry{IssuedBefore: at(0)}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			by, denied := denylist.Compile([]denylist.Entry{c.entry}, at(0)).Denies(token())
			if denied != c.want || denied && by != c.entry {
				t.Errorf("denied %v by %v, want %v", denied, by, c.want)
			}
		})
	}
}

func TestATokenThatSaysNothingIsNamedByNoEmptyClaim(t *testing.T) {
	list := denylist.Compile([]denylist.Entry{{Kind: denylist.Subject, Value: "alice", IssuedBefore: at(1)}}, at(0))
	if by, denied := list.Denies(denylist.Token{}); denied {
		t.Errorf("denied by %v", by)
	}
	everything := denylist.Compile([]denylist.Entry{{IssuedBefore: at(1)}}, at(0))
	if _, denied := everything.Denies(denylist.Token{}); !denied {
		t.Error("a token that does not say when it was issued counts as newer than something")
	}
	if _, denied := (*denylist.List)(nil).Denies(token()); denied {
		t.Error("no list denies something")
	}
}

func TestAnEntryIsForgottenWhenTheLastTokenHasExpired(t *testing.T) {
	life := 6*time.Hour + 2*time.Minute
	before := denylist.DefaultInstant(at(0).Add(300 * time.Millisecond))
	if want := at(1); !before.Equal(want) {
		t.Fatalf("by default it means what was issued before %s, want %s", before, want)
	}
	entry := denylist.Entry{Kind: denylist.Subject, Value: "alice", IssuedBefore: before, Until: denylist.Until(before, life)}
	last := denylist.Token{Subject: "alice", IssuedAt: at(0)}
	until := at(1).Add(life)
	list := denylist.Compile([]denylist.Entry{entry}, until.Add(-time.Second))
	if _, denied := list.Denies(last); !denied || !list.Next().Equal(until) {
		t.Errorf("denied %v until %s, want it until %s", denied, list.Next(), until)
	}
	list = denylist.Compile([]denylist.Entry{entry}, until)
	if _, denied := list.Denies(last); denied || list.Len() != 0 || !list.Next().IsZero() {
		t.Errorf("denied %v, %d entries, next %s: want none", denied, list.Len(), list.Next())
	}
}

func TestATokenOfAnyIssuanceIsReadAsTheListSeesIt(t *testing.T) {
	for sentence, c := range map[string]struct{ claims, want string }{
		"a text":             {`{"client_id":"shop.web"}`, "shop.web"},
		"none":               {`{}`, ""},
		"no text":            {`{"client_id":["shop.web"]}`, ""},
		"under another name": {`{"CLIENT_ID":"shop.web"}`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := denylist.TokenOf(jose.Token{ID: "one", Subject: "alice", KeyID: "k1", IssuedAt: at(0), Claims: []byte(c.claims)})
			want := token()
			want.ClientID = c.want
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
		})
	}
}

func drawEntry(t *rapid.T) denylist.Entry {
	e := denylist.Entry{Kind: rapid.SampledFrom([]denylist.Kind{
		denylist.TokenID, denylist.Subject, denylist.ClientID, denylist.KeyID, denylist.Everything,
	}).Draw(t, "kind")}
	if e.Kind != denylist.Everything {
		e.Value = rapid.SampledFrom([]string{"a", "b", "ü\"<\u2028"}).Draw(t, "value")
	}
	if e.Kind == denylist.Everything || e.Kind != denylist.TokenID && rapid.Bool().Draw(t, "has an instant") {
		e.IssuedBefore = at(rapid.Int64Range(-3, 3).Draw(t, "before"))
	}
	if rapid.Bool().Draw(t, "has an end") {
		e.Until = at(rapid.Int64Range(-5, 5).Draw(t, "until"))
	}
	return e
}

func drawEntries(t *rapid.T) []denylist.Entry {
	return rapid.SliceOfN(rapid.Custom(drawEntry), 0, 12).Draw(t, "entries")
}

func drawToken(t *rapid.T) denylist.Token {
	text := rapid.SampledFrom([]string{"", "a", "b", "c"})
	return denylist.Token{
		ID: text.Draw(t, "jti"), Subject: text.Draw(t, "sub"), ClientID: text.Draw(t, "client_id"), KeyID: text.Draw(t, "kid"),
		IssuedAt: at(rapid.Int64Range(-4, 4).Draw(t, "iat")),
	}
}

// names says the same as the list in the simplest way.
func names(e denylist.Entry, t denylist.Token) bool {
	value := map[denylist.Kind]string{
		denylist.TokenID: t.ID, denylist.Subject: t.Subject, denylist.ClientID: t.ClientID, denylist.KeyID: t.KeyID, denylist.Everything: "",
	}[e.Kind]
	return value == e.Value && (e.IssuedBefore.IsZero() || t.IssuedAt.Before(e.IssuedBefore))
}

func TestAListDeniesWhatOneOfItsEntriesDenies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries, asked, now := drawEntries(t), drawToken(t), at(rapid.Int64Range(-6, 6).Draw(t, "now"))
		list := denylist.Compile(entries, now)
		want := false
		next := time.Time{}
		for _, e := range entries {
			if e.IsOver(now) {
				continue
			}
			want = want || names(e, asked)
			if !e.Until.IsZero() && (next.IsZero() || e.Until.Before(next)) {
				next = e.Until
			}
		}
		by, denied := list.Denies(asked)
		if denied != want || denied && !names(by, asked) {
			t.Fatalf("denied %v by %v, want %v", denied, by, want)
		}
		if !list.Next().Equal(next) || !next.IsZero() && !next.After(now) {
			t.Fatalf("next %s at %s, want %s", list.Next(), now, next)
		}
	})
}

func TestATokenIssuedFromTheFirstInstantOnIsNotDenied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := drawToken(t)
		asked.ID = ""
		list := denylist.Compile(drawEntries(t), at(-10))
		first := list.NotBefore(asked)
		asked.IssuedAt = at(-4)
		if first.After(asked.IssuedAt) {
			asked.IssuedAt = first
		}
		if by, denied := list.Denies(asked); denied && !by.IssuedBefore.IsZero() {
			t.Fatalf("issued at %s it is denied by %v", asked.IssuedAt, by)
		}
		asked.IssuedAt = first.Add(-time.Second)
		if _, denied := list.Denies(asked); !denied && !first.IsZero() {
			t.Fatalf("issued a second before %s it is not denied", first)
		}
	})
}
