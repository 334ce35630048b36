package tokenservice_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/tokenservice"
)

// TestNothingThatARequestSaysIsSaidAgain: neither the answer nor the log quotes what anybody can send. Who mistakes a parameter would
// find a secret there, and an attacker has lines as long as he wants.
func TestNothingThatARequestSaysIsSaidAgain(t *testing.T) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	const echo = "kts_echo"
	long := strings.Repeat(echo+`"\é`, 2000)
	s := begin(t, append(cart(), pods())...)
	longToken := forged(t, key, "JWT", start(), assertion(map[string]any{
		"iss": "https://kubernetes.example", "sub": "system:serviceaccount:shop:" + strings.Repeat("x", 8000),
	}))
	for sentence, c := range map[string]struct {
		endpoint string
		form     []string
		code     string
	}{
		"a grant type":             {"token", []string{"grant_type", long}, "unsupported_grant_type"},
		"a grant type to revoke":   {"revoke", []string{"grant_type", long, "token", "x"}, ""},
		"a grant type to look":     {"introspect", []string{"grant_type", long, "token", "x"}, ""},
		"a type of assertion":      {"token", []string{"grant_type", "client_credentials", "client_assertion", "a.b.c", "client_assertion_type", long}, "invalid_request"},
		"a client ID":              {"token", []string{"grant_type", "client_credentials", "client_id", long, "client_secret", "x"}, "invalid_client"},
		"a scope":                  {"token", []string{"grant_type", "client_credentials", "scope", long}, "invalid_scope"},
		"an audience":              {"token", []string{"grant_type", "client_credentials", "audience", long}, "invalid_target"},
		"a type of subject token":  {"token", []string{"grant_type", exchange, "subject_token", "x", "subject_token_type", long}, "invalid_request"},
		"a type of token":          {"token", []string{"grant_type", exchange, "subject_token", "x", "subject_token_type", "urn:ietf:params:oauth:token-type:jwt", "requested_token_type", long}, "invalid_request"},
		"a refresh token":          {"token", []string{"grant_type", "refresh_token", "refresh_token", long}, "invalid_grant"},
		"a hint":                   {"revoke", []string{"token", "x", "token_type_hint", long}, ""},
		"an unbelieved assertion":  {"token", []string{"grant_type", "client_credentials", "client_id", "shop.pods", "client_assertion", longToken, "client_assertion_type", jwtBearer}, "invalid_client"},
		"a parameter of that name": {"token", []string{"grant_type", "client_credentials", long, "x"}, ""},
	} {
		before := len(s.log())
		got := s.post(c.endpoint, c.form...)
		line := s.log()[before:]
		if got.text("error") != c.code {
			t.Errorf("%s: got %d %s, want %q", sentence, got.status, short(got.body), c.code)
		}
		if strings.Contains(got.body, echo) || strings.Contains(line, echo) || len(line) > 1200 {
			t.Errorf("%s: answered with %s, logged as %s", sentence, short(got.body), short(line))
		}
		if bad := strings.IndexFunc(got.text("error_description"), func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }); bad >= 0 {
			t.Errorf("%s: error_description has what RFC 6749 section 5.2 forbids: %s", sentence, short(got.body))
		}
	}
}

func short(text string) string { return text[:min(len(text), 400)] }

// heard is what a library logs by itself.
type heard struct {
	slog.Handler
	audited, others *atomic.Int32
}

func (h heard) Handle(ctx context.Context, _ slog.Record) error {
	if tokenservice.IsAudited(ctx) {
		h.audited.Add(1)
	} else {
		h.others.Add(1)
	}
	return nil
}

// TestWhatTheLibraryLogsOfARequestCanBeLeftOut: by its context, which is all that tells it from what others log.
func TestWhatTheLibraryLogsOfARequestCanBeLeftOut(t *testing.T) {
	s := begin(t, cart()...)
	log := heard{slog.NewTextHandler(io.Discard, nil), &atomic.Int32{}, &atomic.Int32{}}
	before := slog.Default()
	slog.SetDefault(slog.New(log))
	t.Cleanup(func() { slog.SetDefault(before) })
	s.post("token", "grant_type", "client_credentials")
	s.post("token", "grant_type", "client_credentials", "client_id", clientID, "client_secret", "x")
	s.post("token", "grant_type", "refresh_token", "refresh_token", "x")
	s.post("token", "grant_type", "password")
	s.post("introspect", "token", "")
	s.post("revoke", "token", s.signed("at+jwt", nil))
	if audited, others := log.audited.Load(), log.others.Load(); audited < 5 || others > 0 {
		t.Errorf("of 5 errors %d were logged with the context of their request, %d without", audited, others)
	}
}

func TestTheAuditTellsWhoWasSaidToAsk(t *testing.T) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, cart()...)
	unproved := forged(t, key, "JWT", start(), assertion(nil))
	s.refused(s.post("token", "grant_type", "client_credentials", "client_assertion", unproved, "client_assertion_type", jwtBearer),
		http.StatusUnauthorized, "invalid_client")
	var line map[string]any
	s.must(json.Unmarshal([]byte(s.log()), &line))
	for name, want := range map[string]string{"client": clientID, "error": "invalid_client", "grant": "ClientCredentials"} {
		if line[name] != want {
			t.Errorf("%s is %v, want %s", name, line[name], want)
		}
	}
}
