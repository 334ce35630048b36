package tokenservice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
)

// faulty is an Authenticator with a mistake in it.
type faulty func()

func (f faulty) Authenticate(context.Context, *v1alpha1.SigningKey, clientauth.Attempt) (clientauth.Proof, error) {
	f()
	return clientauth.Proof{}, clientauth.ErrClient
}

// TestAPanicIsAnsweredAndAudited, and quotes nothing of what was sent.
func TestAPanicIsAnsweredAndAudited(t *testing.T) {
	const sent = "kts_sent"
	var nobody *v1alpha1.TokenClient
	for sentence, c := range map[string]struct {
		mistake func()
		reason  string
	}{
		"Go's own":       {func() { _ = nobody.Name }, "panic: runtime error: invalid memory address or nil pointer dereference"},
		"a text":         {func() { panic("cannot read " + sent) }, "panic with a string"},
		"another error":  {func() { panic(errors.New("cannot read " + sent)) }, "panic with a *errors.errorString"},
		"one to hang up": {func() { panic(http.ErrAbortHandler) }, "panic with a *errors.errorString"},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := begin(t, cart()...)
			s.options.Clients = faulty(c.mistake)
			s.serve()
			got := s.post("token", "grant_type", "client_credentials", "client_id", clientID, "client_secret", sent)
			s.refused(got, http.StatusInternalServerError, "server_error")
			if strings.Contains(got.body+s.log(), sent) {
				t.Errorf("answered with %s, logged as %s", got.body, s.log())
			}
			var stack, audit map[string]any
			lines := bytes.SplitN([]byte(s.log()), []byte("\n"), 2)
			s.must(json.Unmarshal(lines[0], &stack), json.Unmarshal(lines[1], &audit))
			if text, _ := stack["stack"].(string); !strings.Contains(text, "panic_test.go") {
				t.Errorf("the stack does not lead to the mistake: %s", text)
			}
			if audit["reason"] != c.reason || audit["status"] != 500.0 || audit["client"] != clientID {
				t.Errorf("the audit tells %v, want %q", audit, c.reason)
			}
		})
	}
}
