package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/token"
)

func denying(entries ...denylist.Entry) *denylist.List { return denylist.Compile(entries, epoch()) }

func TestATokenThatWasTakenBackIsReplaced(t *testing.T) {
	keep := token.Decision{Action: token.Keep, Next: at(renewal)}
	for sentence, c := range map[string]struct {
		entry denylist.Entry
		want  token.Decision
	}{
		"by its ID":                  {denylist.Entry{Kind: denylist.TokenID, Value: "id"}, issue(token.TokenRevoked)},
		"by another ID":              {denylist.Entry{Kind: denylist.TokenID, Value: "ID"}, keep},
		"by its subject":             {denylist.Entry{Kind: denylist.Subject, Value: asked().Subject, IssuedBefore: at(time.Second)}, issue(token.TokenRevoked)},
		"before it was issued":       {denylist.Entry{Kind: denylist.Subject, Value: asked().Subject, IssuedBefore: at(0)}, keep},
		"with all of the issuer's":   {denylist.Entry{IssuedBefore: at(time.Second)}, issue(token.TokenRevoked)},
		"with those of a client":     {denylist.Entry{Kind: denylist.ClientID, Value: "web", IssuedBefore: at(time.Second)}, keep},
		"with those of another key":  {denylist.Entry{Kind: denylist.KeyID, Value: "other", IssuedBefore: at(time.Second)}, keep},
		"with those of another name": {denylist.Entry{Kind: denylist.Subject, Value: "alice", IssuedBefore: at(time.Second)}, keep},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			w.keys.Denied = denying(c.entry)
			if diff := cmp.Diff(c.want, token.Judge(w.request, w.have, w.keys, w.now)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoTokenIsIssuedThatIsDeniedAtOnce(t *testing.T) {
	access := asked()
	access.Type = token.TypeAccessToken
	client := asked()
	client.Claims["client_id"] = "web"
	for sentence, c := range map[string]struct {
		request token.Request
		entry   func(w *world) denylist.Entry
		waits   bool
	}{
		"its subject is revoked": {asked(), func(*world) denylist.Entry {
			return denylist.Entry{Kind: denylist.Subject, Value: asked().Subject, IssuedBefore: at(time.Second)}
		}, true},
		"all tokens are revoked": {asked(), func(*world) denylist.Entry { return denylist.Entry{IssuedBefore: at(time.Second)} }, true},
		"those of the signing key are": {asked(), func(w *world) denylist.Entry {
			return denylist.Entry{Kind: denylist.KeyID, Value: w.active, IssuedBefore: at(time.Second)}
		}, true},
		"those of the client are, which is the subject": {access, func(*world) denylist.Entry {
			return denylist.Entry{Kind: denylist.ClientID, Value: asked().Subject, IssuedBefore: at(time.Second)}
		}, true},
		"those of the client are, which the claims name": {client, func(*world) denylist.Entry {
			return denylist.Entry{Kind: denylist.ClientID, Value: "web", IssuedBefore: at(time.Second)}
		}, true},
		"those of another subject are": {asked(), func(*world) denylist.Entry {
			return denylist.Entry{Kind: denylist.Subject, Value: "alice", IssuedBefore: at(time.Second)}
		}, false},
		"its subject was revoked before": {asked(), func(*world) denylist.Entry {
			return denylist.Entry{Kind: denylist.Subject, Value: asked().Subject, IssuedBefore: at(0)}
		}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			w.keys.Denied = denying(c.entry(w))
			_, err := token.Lawful(c.request, w.keys, at(999*time.Millisecond))
			var refused *token.NotLawfulError
			switch {
			case !c.waits && err != nil:
				t.Errorf("got %v, want it issued", err)
			case c.waits && (!errors.As(err, &refused) || !refused.NotBefore.Equal(at(time.Second)) || !strings.Contains(err.Error(), "2026-01-02T03:04:06Z")):
				t.Errorf("got %v, want it to wait until the next second", err)
			}
			terms, err := token.Lawful(c.request, w.keys, at(time.Second))
			if err != nil {
				t.Fatalf("a second later: %v", err)
			}
			have := w.signers.issue(t, c.request, terms.KeyID, "new", terms.IssuedAt)
			if decision := token.Judge(c.request, have, w.keys, at(time.Second)); decision.Action != token.Keep {
				t.Errorf("what was issued then is judged %+v", decision)
			}
		})
	}
}
