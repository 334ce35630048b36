package tokenservice_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/tokenservice"
	"github.com/keyturn/keyturn/internal/tokenstore"
	"github.com/keyturn/keyturn/test/postgres"
)

// replica is a Handler of its own on a database that it shares with others.
func (s *service) replica(database string) http.Handler {
	s.t.Helper()
	store, err := tokenstore.Open(s.t.Context(), database)
	s.must(err)
	s.t.Cleanup(func() { _ = store.Close() })
	options := s.options
	options.Families = store
	return tokenservice.NewHandler(options, http.NotFoundHandler())
}

func TestTwoReplicasRefreshOneTokenAtTheSameInstant(t *testing.T) {
	database := postgres.New(t).Database()
	s := begin(t, cart()...)
	replicas := []http.Handler{s.replica(database), s.replica(database)}
	for range 5 {
		s.handler = replicas[0]
		token := s.first()
		answers := make([]*httptest.ResponseRecorder, len(replicas))
		var both sync.WaitGroup
		for i, replica := range replicas {
			answers[i] = httptest.NewRecorder()
			r := s.request("token", "grant_type=refresh_token&refresh_token="+token)
			r.SetBasicAuth(clientID, secret)
			both.Go(func() { replica.ServeHTTP(answers[i], r) })
		}
		both.Wait()
		if a, b := answers[0].Code, answers[1].Code; a+b != http.StatusOK+http.StatusBadRequest {
			t.Fatalf("the replicas answer %d and %d, want one to grant", a, b)
		}
		for _, answer := range answers {
			var won struct {
				Refresh string `json:"refresh_token"`
			}
			s.must(json.Unmarshal(answer.Body.Bytes(), &won))
			if won.Refresh != "" {
				s.unusable(s.refresh(won.Refresh))
			}
		}
		s.unusable(s.refresh(token))
	}
	if reused := len(s.events.Events); reused != 5 {
		t.Errorf("there are %d events for 5 tokens that were used twice", reused)
	}
}

func TestAClientGoesFromReplicaToReplica(t *testing.T) {
	database := postgres.New(t).Database()
	s := begin(t, cart()...)
	replicas := []http.Handler{s.replica(database), s.replica(database)}
	s.handler = replicas[0]
	token := s.first()
	for i := range 20 {
		s.handler = replicas[i%2]
		got := s.refresh(token)
		s.granted(got)
		token = got.text("refresh_token")
	}
}

func TestAnOutageOfTheDatabaseLosesNoToken(t *testing.T) {
	server := postgres.New(t)
	s := begin(t, cart()...)
	s.handler = s.replica(server.Database())
	token := s.first()
	for _, end := range []func(){server.Stop, server.Kill} {
		end()
		s.refused(s.refresh(token), http.StatusServiceUnavailable, "temporarily_unavailable")
		without := s.post("token", "grant_type", "client_credentials")
		s.granted(without)
		if without.text("refresh_token") != "" {
			t.Error("a refresh token that nobody keeps")
		}
		server.Start()
		got := s.refresh(token)
		s.granted(got)
		token = got.text("refresh_token")
	}
}
