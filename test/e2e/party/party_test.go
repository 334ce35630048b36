package party_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/keyturn/keyturn/test/e2e/party"
	"github.com/keyturn/keyturn/test/verifier"
)

// stage is where a presenter meets a judge: files, and a clock that stands still at the start.
type stage struct {
	t         *testing.T
	folder    string
	start     time.Time
	presenter *party.Presenter
	judge     *party.Judge
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, folder: t.TempDir(), start: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.judge = party.NewJudge(clocktesting.NewFakePassiveClock(s.start), &verifier.Verifier{
		Habit: "mounted", Issuer: "issuer", Audience: "audience", Keep: 0, Source: party.Mounted(s.file("jwks.json"), 0),
	})
	server := httptest.NewServer(http.HandlerFunc(s.judge.Verify))
	t.Cleanup(server.Close)
	s.presenter = &party.Presenter{File: s.file("token"), URL: server.URL, Client: server.Client()}
	return s
}

func (s *stage) file(name string) string { return filepath.Join(s.folder, name) }

func (s *stage) write(name string, content []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.file(name), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// newKey publishes a key and returns how to sign with it a token that lives that long.
func (s *stage) newKey(id string) (sign func(jti string, life time.Duration) string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.ES256)}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("jwks.json", set)
	return func(jti string, life time.Duration) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		compact, err := jwt.Signed(signer).Claims(jwt.Claims{
			ID: jti, Issuer: "issuer", Audience: jwt.Audience{"audience"}, Expiry: jwt.NewNumericDate(s.start.Add(life)),
		}).Serialize()
		if err != nil {
			s.t.Fatal(err)
		}
		return compact
	}
}

// tell reads counts as the tests in the cluster do.
func tell[T any](t *testing.T, counts http.HandlerFunc) T {
	t.Helper()
	answer := httptest.NewRecorder()
	counts(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/counts", http.NoBody))
	var told T
	if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	return told
}

func TestAPresenterFollowsItsFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	sign := s.newKey("one")
	s.write("token", []byte(sign("a", time.Minute)))
	s.presenter.Present(t.Context(), s.start)
	s.presenter.Present(t.Context(), s.start.Add(2*time.Second))
	s.write("token", []byte(s.newKey("two")("b", time.Hour)))
	s.presenter.Present(t.Context(), s.start)

	want := party.Presented{Tally: party.Tally{OK: 3}, Tokens: 2, Keys: 2, LeastLife: 58}
	if diff := cmp.Diff(want, tell[party.Presented](t, s.presenter.Counts())); diff != "" {
		t.Errorf("the presenter's counts differ (-want +got):\n%s", diff)
	}
	judged := map[string]party.Judged{"mounted": {Verified: party.Tally{OK: 3}, Fetched: party.Tally{OK: 3}}}
	if diff := cmp.Diff(judged, tell[map[string]party.Judged](t, s.judge.Counts())); diff != "" {
		t.Errorf("the judge's counts differ (-want +got):\n%s", diff)
	}
}

func TestWhatGoesWrongIsCountedByItsReason(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(*stage)
		want    string
	}{
		"there is no token":        {prepare: func(*stage) {}, want: "cannot be read"},
		"the file holds no token":  {prepare: func(s *stage) { s.write("token", []byte("x")) }, want: "parse token"},
		"the key is not published": {prepare: func(s *stage) { s.write("token", []byte(s.newKey("one")("a", time.Minute))); s.newKey("two") }, want: "401"},
		"the token has expired":    {prepare: func(s *stage) { s.write("token", []byte(s.newKey("one")("a", -time.Second))) }, want: "expired"},
		"the verifier does not answer": {prepare: func(s *stage) {
			s.write("token", []byte(s.newKey("one")("a", time.Minute)))
			s.presenter.URL = "http://127.0.0.1:1"
		}, want: "refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			test.prepare(s)
			s.presenter.Present(t.Context(), s.start)
			counts := tell[party.Presented](t, s.presenter.Counts())
			if counts.OK != 0 || counts.Failures() != 1 {
				t.Fatalf("%d went well and %d did not, want 0 and 1", counts.OK, counts.Failures())
			}
			for reason := range counts.Failed {
				if !strings.Contains(reason, test.want) {
					t.Errorf("the reason is %q, want it to say %q", reason, test.want)
				}
			}
		})
	}
}

func TestAJudgeRefusesWhoBearsNoToken(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	newStage(t).judge.Verify(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("the answer is %d, want 401", answer.Code)
	}
}

func TestACallerTakesItsClientsInTurn(t *testing.T) {
	t.Parallel()
	gone := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if gone {
			http.NotFound(w, nil)
		}
	}))
	defer server.Close()
	caller := &party.Caller{URL: server.URL, Clients: []*http.Client{server.Client(), {Transport: broken{}}}}
	for range 4 {
		caller.Call(t.Context())
	}
	gone = true
	caller.Call(t.Context())
	counts := tell[party.Tally](t, caller.Counts())
	if counts.OK != 2 || counts.Failures() != 3 {
		t.Errorf("%d went well and %d did not, want 2 and 3: %v", counts.OK, counts.Failures(), counts.Failed)
	}
}

// broken is a network that is not there.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no network")
}

func TestWhatAnEndInterruptsIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.write("token", []byte(s.newKey("one")("a", time.Minute)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.presenter.Present(ctx, s.start)
	if counts := tell[party.Presented](t, s.presenter.Counts()); counts.OK+counts.Failures() != 0 {
		t.Errorf("%d presentations are counted, want none", counts.OK+counts.Failures())
	}
}
