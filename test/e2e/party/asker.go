package party

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/test/verifier"
)

const (
	// pause is how long an Asker waits before it presents its token to another replica.
	pause = 100 * time.Millisecond
	// insistence is how long it goes on: longer than a Service sends requests to a replica that does not answer.
	insistence = 20 * time.Second
	// longestAnswer is more than any answer has, in bytes.
	longestAnswer = 1 << 16
)

// errUnanswered says that nobody has answered. Another replica may.
var errUnanswered = errors.New("nobody has answered")

// Asked is what an Asker has seen.
type Asked struct {
	// Asked is what became of requests for a token, without those that were put off.
	Asked Tally `json:"asked"`
	// PutOff are those that nobody answered, or that were answered with 503 and when to ask again (RFC 9110, section 10.2.3).
	PutOff Tally `json:"putOff"`
	// Presented is what became of the token that was at hand, each second.
	Presented Tally `json:"presented"`
	// Again are the times when a presentation had to be repeated, because it met a replica that did not answer, or not now.
	Again Tally `json:"again"`
	// Tokens and Keys are how many different tokens it got, and by how many keys they were signed.
	Tokens int `json:"tokens"`
	Keys   int `json:"keys"`
}

// Answer is what an Asker was answered, without the token.
type Answer struct {
	Status int            `json:"status"`
	Header http.Header    `json:"header"`
	Claims map[string]any `json:"claims,omitempty"`
	// Says is the answer, if it is a refusal.
	Says string `json:"says,omitempty"`
}

// refusedError is an answer that is none of those that were asked for.
type refusedError struct{ Answer }

func (e *refusedError) Error() string {
	return fmt.Sprintf("answered with %d: %s %s", e.Status, e.Says, e.Header.Get("Www-Authenticate"))
}

// later says whether the answer may be another one in a moment.
func (e *refusedError) later() bool {
	return e.Status == http.StatusServiceUnavailable && e.Header.Get("Retry-After") != ""
}

// outcome is nil for what was granted or let in.
func outcome(answer Answer, err error) error {
	if err != nil || answer.Status == http.StatusOK {
		return err
	}
	return &refusedError{answer}
}

// Asker has nothing but the token that Kubernetes projects for its ServiceAccount. It exchanges that (RFC 8693) for an access token,
// which it presents to the gate.
type Asker struct {
	// File is that of the projected token.
	File string
	// Endpoint is where it asks, Gate where it is judged, and Other where it is judged by another policy.
	Endpoint, Gate, Other string
	Client                *http.Client
	Clock                 clock.Clock

	mu           sync.Mutex
	compact      string
	counts       Asked
	tokens, keys map[string]bool
}

// Turn asks for a token and presents the one at hand. Who asks keeps the token that it has until it gets another, so that it can wait
// where it is told to; who presents cannot, and goes on until somebody answers.
func (a *Asker) Turn(ctx context.Context) {
	err := outcome(a.ask(ctx))
	a.note(ctx, func(counts *Asked) {
		if a.isLater(err) {
			counts.PutOff.count(err)
			return
		}
		counts.Asked.count(err)
	})
	err = a.insist(ctx)
	a.note(ctx, func(counts *Asked) { counts.Presented.count(err) })
}

// insist presents the token as a proxy would that has several replicas of the gate to ask.
func (a *Asker) insist(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, insistence)
	defer cancel()
	for {
		err := outcome(a.present(within, a.Gate, true))
		if !a.isLater(err) {
			return err
		}
		select {
		case <-within.Done():
			return err
		case <-a.Clock.After(pause):
		}
		a.note(ctx, func(counts *Asked) { counts.Again.count(err) })
	}
}

// isLater says whether the same may be asked again, and sees to it that somebody else may answer then.
func (a *Asker) isLater(err error) bool {
	refused, answered := errors.AsType[*refusedError](err)
	later := errors.Is(err, errUnanswered) || answered && refused.later()
	if later {
		a.Client.CloseIdleConnections()
	}
	return later
}

// note changes the counts, unless the end has interrupted what they are about.
func (a *Asker) note(ctx context.Context, change func(*Asked)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() == nil {
		change(&a.counts)
	}
}

// Counts tells what was seen.
func (a *Asker) Counts() http.HandlerFunc { return report(&a.mu, &a.counts) }

// Ask asks for a token on behalf of whoever calls it, and tells what came of it.
func (a *Asker) Ask(w http.ResponseWriter, r *http.Request) {
	answer, err := a.ask(r.Context())
	tell(w, answer, err)
}

// Present presents the token at hand on behalf of whoever calls it: not at Gate but at Other with the parameter "other", and no token at
// all with the parameter "bare".
func (a *Asker) Present(w http.ResponseWriter, r *http.Request) {
	gate := a.Gate
	if r.FormValue("other") != "" {
		gate = a.Other
	}
	answer, err := a.present(r.Context(), gate, r.FormValue("bare") == "")
	tell(w, answer, err)
}

func tell(w http.ResponseWriter, answer Answer, err error) {
	var text []byte
	if err == nil {
		text, err = json.Marshal(answer)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

func (a *Asker) ask(ctx context.Context) (Answer, error) {
	subject, err := os.ReadFile(a.File)
	if err != nil {
		return Answer{}, errors.New("the projected token cannot be read")
	}
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":      {string(subject)},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, fmt.Errorf("ask for a token: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, body, err := a.do(request)
	if err != nil || answer.Status != http.StatusOK {
		return answer, err
	}
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &granted); err != nil {
		return Answer{}, errors.New("ask for a token: the answer is not JSON")
	}
	answer.Claims, err = a.keep(granted.AccessToken)
	return answer, err
}

// keep remembers the token at hand, and returns what it says.
func (a *Asker) keep(compact string) (map[string]any, error) {
	keyID, registered, err := verifier.Read(compact)
	if err != nil {
		return nil, err
	}
	claims, err := verifier.Claims(compact)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.compact = compact
	a.see(keyID, registered)
	return claims, nil
}

func (a *Asker) see(keyID string, claims jwt.Claims) {
	if a.tokens == nil {
		a.tokens, a.keys = map[string]bool{}, map[string]bool{}
	}
	a.tokens[claims.ID], a.keys[keyID] = true, true
	a.counts.Tokens, a.counts.Keys = len(a.tokens), len(a.keys)
}

func (a *Asker) present(ctx context.Context, gate string, bearer bool) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, gate, http.NoBody)
	if err != nil {
		return Answer{}, fmt.Errorf("present the token: %w", err)
	}
	if bearer {
		a.mu.Lock()
		request.Header.Set("Authorization", "Bearer "+a.compact)
		a.mu.Unlock()
	}
	answer, _, err := a.do(request)
	return answer, err
}

func (a *Asker) do(request *http.Request) (Answer, []byte, error) {
	response, err := a.Client.Do(request)
	if err != nil {
		return Answer{}, nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return Answer{}, nil, fmt.Errorf("%w to the end: %w", errUnanswered, err)
	}
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	if answer.Status != http.StatusOK {
		answer.Says = strings.TrimSpace(string(body))
	}
	return answer, body, nil
}
