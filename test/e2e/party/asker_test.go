package party_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/keyturn/keyturn/test/e2e/party"
)

// operator answers an Asker as it is told to.
type operator struct {
	// endpoint and gate are the statuses of the next answers, 0 for none; the last one stays.
	endpoint, gate []int
	token          string
	bearers        []string
	idle           int
}

func (o *operator) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Path == "/token" {
		return o.answer(&o.endpoint, fmt.Sprintf(`{"access_token":%q}`, o.token))
	}
	o.bearers = append(o.bearers, request.Header.Get("Authorization"))
	return o.answer(&o.gate, "")
}

func (o *operator) CloseIdleConnections() { o.idle++ }

func (*operator) answer(statuses *[]int, body string) (*http.Response, error) {
	status := (*statuses)[0]
	if len(*statuses) > 1 {
		*statuses = (*statuses)[1:]
	}
	if status == 0 {
		return nil, errors.New("there is no network")
	}
	response := &http.Response{StatusCode: status, Header: http.Header{"X-Subject": {"somebody"}}, Body: io.NopCloser(strings.NewReader(body))}
	if status == http.StatusServiceUnavailable {
		response.Header.Set("Retry-After", "1")
	}
	return response, nil
}

// passing is a clock on which all time has passed that somebody waits for.
type passing struct{ clock.Clock }

func (c passing) After(d time.Duration) <-chan time.Time {
	arrives := c.Clock.(*clocktesting.FakeClock).After(d)
	c.Clock.(*clocktesting.FakeClock).Step(d)
	return arrives
}

// newAsker is one whose ServiceAccount has a projected token.
func newAsker(t *testing.T, o *operator) *party.Asker {
	t.Helper()
	s := newStage(t)
	s.write("projected", []byte("projected"))
	if o.token == "" {
		o.token = s.newKey("one")("a", time.Minute)
	}
	return &party.Asker{
		File: s.file("projected"), Endpoint: "https://operator.example.com/token", Gate: "https://operator.example.com/verify/a/b",
		Client: &http.Client{Transport: o}, Clock: passing{clocktesting.NewFakeClock(s.start)},
	}
}

func TestWhatAnAskerCounts(t *testing.T) {
	t.Parallel()
	const ok, never = http.StatusOK, 0
	type seen struct{ Granted, Denied, PutOff, LetIn, KeptOut, Again, Tokens, Idle int }
	tests := map[string]struct {
		endpoint, gate []int
		token          string
		want           seen
	}{
		"it is let in": {endpoint: []int{ok}, gate: []int{ok}, want: seen{Granted: 2, LetIn: 2, Tokens: 1}},
		"it is told to ask later, and has a token":        {endpoint: []int{ok, 503}, gate: []int{ok}, want: seen{Granted: 1, PutOff: 1, LetIn: 2, Tokens: 1, Idle: 1}},
		"nobody answers, and it has a token":              {endpoint: []int{ok, never}, gate: []int{ok}, want: seen{Granted: 1, PutOff: 1, LetIn: 2, Tokens: 1, Idle: 1}},
		"it is refused a token":                           {endpoint: []int{ok, 401}, gate: []int{ok}, want: seen{Granted: 1, Denied: 1, LetIn: 2, Tokens: 1}},
		"it fails to be understood":                       {endpoint: []int{ok, 500}, gate: []int{ok}, want: seen{Granted: 1, Denied: 1, LetIn: 2, Tokens: 1}},
		"what it gets is no token":                        {endpoint: []int{ok}, gate: []int{401}, token: "x", want: seen{Denied: 2, KeptOut: 2}},
		"the gate keeps it out":                           {endpoint: []int{ok}, gate: []int{ok, 401}, want: seen{Granted: 2, LetIn: 1, KeptOut: 1, Tokens: 1}},
		"a replica of the gate does not answer, or later": {endpoint: []int{ok}, gate: []int{never, 503, ok}, want: seen{Granted: 2, LetIn: 2, Again: 2, Tokens: 1, Idle: 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &operator{endpoint: test.endpoint, gate: test.gate, token: test.token}
			asker := newAsker(t, o)
			asker.Turn(t.Context())
			asker.Turn(t.Context())
			counts := tell[party.Asked](t, asker.Counts())
			got := seen{
				Granted: counts.Asked.OK, Denied: counts.Asked.Failures(), PutOff: counts.PutOff.Failures(), LetIn: counts.Presented.OK,
				KeptOut: counts.Presented.Failures(), Again: counts.Again.Failures(), Tokens: counts.Tokens, Idle: o.idle,
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the counts differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAskerTellsWhatItWasAnsweredAndNoToken(t *testing.T) {
	t.Parallel()
	o := &operator{endpoint: []int{http.StatusOK}, gate: []int{http.StatusOK}}
	asker := newAsker(t, o)
	answers := map[string]party.Answer{}
	for _, request := range []string{"/ask", "/present", "/present?bare=yes"} {
		handler := asker.Present
		if request == "/ask" {
			handler = asker.Ask
		}
		recorded := httptest.NewRecorder()
		handler(recorded, httptest.NewRequestWithContext(t.Context(), http.MethodGet, request, http.NoBody))
		if strings.Contains(recorded.Body.String(), o.token) {
			t.Errorf("the answer to %s has the token", request)
		}
		var answer party.Answer
		if err := json.Unmarshal(recorded.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		answers[request] = answer
	}
	if got := answers["/ask"].Claims["jti"]; got != "a" {
		t.Errorf("the token is %v, want a", got)
	}
	if got := answers["/present"].Header.Get("X-Subject"); got != "somebody" {
		t.Errorf("the gate says that %q is let in, want somebody", got)
	}
	if diff := cmp.Diff([]string{"Bearer " + o.token, ""}, o.bearers); diff != "" {
		t.Errorf("what was presented differs (-want +got):\n%s", diff)
	}
}
