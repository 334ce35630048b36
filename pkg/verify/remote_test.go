package verify_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

const keysURL = "https://keys.example.com/jwks.json"

// server answers without a network, so that a test decides what time it is.
type server struct {
	mu       sync.Mutex
	keys     []byte
	control  string // Cache-Control
	age      string
	failure  error
	status   int
	delay    time.Duration
	requests int
	unknown  int // requests without an entity tag of ours
	same     int // answers 304
}

func (s *server) RoundTrip(request *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests++
	delay, failure := s.delay, s.failure
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if failure != nil {
		return nil, failure
	}
	recorder := httptest.NewRecorder()
	s.answer(recorder, request)
	return recorder.Result(), nil
}

func (s *server) answer(w http.ResponseWriter, request *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(s.keys))
	w.Header().Set("ETag", tag)
	for name, value := range map[string]string{"Cache-Control": s.control, "Age": s.age} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	switch {
	case s.status != 0:
		w.WriteHeader(s.status)
	case request.Header.Get("If-None-Match") == tag:
		s.same++
		w.WriteHeader(http.StatusNotModified)
	default:
		s.unknown++
		_, _ = w.Write(s.keys)
	}
}

func (s *server) change(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) put(of ...signer) { s.change(func(s *server) { s.keys = jwks(of...) }) }

// mustHaveAsked expects that many requests since the last time.
func (s *server) mustHaveAsked(t *testing.T, when string, want int) {
	t.Helper()
	synctest.Wait()
	s.change(func(s *server) {
		if s.requests != want {
			t.Errorf("%s: %d requests, want %d", when, s.requests, want)
		}
		s.requests = 0
	})
}

func (s *server) verifier(t *testing.T, fetch verify.Fetch) *verify.Verifier {
	t.Helper()
	return newVerifier(t, verify.Options{CacheSize: 10, Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.URL{URL: keysURL, Fetch: fetch.Through(s)},
	}}})
}

// lasting signs claims that outlive every test.
func lasting(signer signer) string {
	return signer.sign(claims("nbf", "0", "exp", "9000000000"))
}

func TestFetchedKeysAreUsedForAsLongAsTheServerSays(t *testing.T) {
	token := lasting(signers()[jose.ES256])
	for name, test := range map[string]struct {
		control, age string
		fetch        verify.Fetch
		want         time.Duration
	}{
		"as it says":                        {"public, max-age=600, s-maxage=5", "", verify.Fetch{}, 10 * time.Minute},
		"in another case":                   {"Public,MAX-AGE=\"600\"", "", verify.Fetch{}, 10 * time.Minute},
		"less the age":                      {"max-age=600", "300", verify.Fetch{}, 5 * time.Minute},
		"older than allowed":                {"max-age=600", "900", verify.Fetch{}, 10 * time.Second},
		"nothing said":                      {"", "", verify.Fetch{}, time.Hour},
		"nothing said, less allowed":        {"", "", verify.Fetch{CacheDuration: time.Minute}, time.Minute},
		"more than allowed":                 {"max-age=86400", "", verify.Fetch{}, time.Hour},
		"more than any number":              {"max-age=99999999999999999999", "", verify.Fetch{CacheDuration: 24 * time.Hour}, 24 * time.Hour},
		"almost nothing":                    {"max-age=1", "", verify.Fetch{}, 10 * time.Second},
		"nothing to be kept":                {"no-store, max-age=600", "", verify.Fetch{}, 10 * time.Second},
		"what is no number":                 {"max-age=-1", "", verify.Fetch{}, 10 * time.Second},
		"two numbers of which one is a lie": {"max-age=600, max-age=900", "", verify.Fetch{}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{control: test.control, age: test.age}
				s.put(signers()[jose.ES256])
				verifier := s.verifier(t, test.fetch)
				must(t, "at first", verifier, token, nil)
				s.mustHaveAsked(t, "at first", 1)
				s.put() // The key is revoked.
				time.Sleep(test.want*4/5 - time.Millisecond)
				must(t, "long before the end", verifier, token, nil)
				s.mustHaveAsked(t, "long before the end", 0)
				time.Sleep(test.want/5 + time.Millisecond)
				must(t, "at the end", verifier, token, verify.ErrUnknownKey)
				s.mustHaveAsked(t, "at the end", 1)
				if verifier.Remembered() != 0 {
					t.Error("a token of the key is still remembered")
				}
			})
		})
	}
}

func TestNobodyWaitsForTheNextSetWhereTokensCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{control: "max-age=600", delay: time.Second}
		s.put(signers()[jose.ES256])
		verifier, token := s.verifier(t, verify.Fetch{}), lasting(signers()[jose.ES256])
		must(t, "at first", verifier, token, nil)
		s.mustHaveAsked(t, "at first", 1)
		begin := time.Now()
		for range 3600 {
			time.Sleep(time.Second)
			must(t, "in the hour after", verifier, token, nil)
		}
		if waited := time.Since(begin) - time.Hour; waited != 0 {
			t.Errorf("tokens waited for %v", waited)
		}
		s.mustHaveAsked(t, "in the hour after", 7)
		if s.unknown != 1 || s.same != 7 {
			t.Errorf("the set was sent %d times, and %d times it was the same, want 1 and 7", s.unknown, s.same)
		}
	})
}

func TestUnknownKeysMakeTheServerBeAskedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.put(signers()[jose.ES256])
		next := newSigner(jose.ES256)
		verifier, token := s.verifier(t, verify.Fetch{}), lasting(next)
		must(t, "just fetched", verifier, token, verify.ErrUnknownKey)
		s.mustHaveAsked(t, "just fetched", 1)
		time.Sleep(time.Minute)
		s.put(next, signers()[jose.ES256])
		must(t, "the key came", verifier, token, nil)
		s.mustHaveAsked(t, "the key came", 1)

		var flood sync.WaitGroup
		for i := range 6000 {
			flood.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				stranger := b64(fmt.Sprintf(`{"alg":"ES256","kid":"%d"}`, i)) + "." + b64(claims()) + ".AAAA"
				must(t, "in a flood", verifier, stranger, verify.ErrUnknownKey)
			})
		}
		flood.Wait()
		s.mustHaveAsked(t, "in a minute of strangers", 5)
	})
}

func TestManyTokensWaitForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{delay: 2 * time.Second}
		s.put(signers()[jose.ES256])
		verifier, token := s.verifier(t, verify.Fetch{}), lasting(signers()[jose.ES256])
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() { must(t, "together", verifier, token, nil) })
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := verifier.Verify(impatient, token)
		if !errors.Is(err, verify.ErrKeysUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who does not wait: got %v", err)
		}
		waiting.Wait()
		s.mustHaveAsked(t, "together", 1)
	})
}

func TestWhoStartsAFetchMayGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{delay: 2 * time.Second}
		s.put(signers()[jose.ES256])
		verifier, token := s.verifier(t, verify.Fetch{}), lasting(signers()[jose.ES256])
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := verifier.Verify(gone, token); !errors.Is(err, context.Canceled) {
			t.Errorf("who is gone: got %v", err)
		}
		must(t, "who stays", verifier, token, nil)
		s.mustHaveAsked(t, "both", 1)
	})
}

func TestAnOutageIsBridgedForAWhile(t *testing.T) {
	for name, outage := range map[string]func(*server){
		"no answer":     func(s *server) { s.delay = time.Minute },
		"no connection": func(s *server) { s.failure = errors.New("connection refused") },
		"an error":      func(s *server) { s.status = http.StatusServiceUnavailable },
		"a redirect":    func(s *server) { s.status = http.StatusFound },
		"another page":  func(s *server) { s.keys = []byte("<html>") },
		"a huge set":    func(s *server) { s.keys = append(jwks(signers()[jose.ES256]), make([]byte, 64<<10)...) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{control: "max-age=600"}
				s.put(signers()[jose.ES256])
				verifier, token := s.verifier(t, verify.Fetch{MaxStale: 20 * time.Minute}), lasting(signers()[jose.ES256])
				must(t, "before", verifier, token, nil)
				s.mustHaveAsked(t, "before", 1)
				s.change(outage)
				begin := time.Now()
				for time.Since(begin) < 30*time.Minute-time.Second {
					must(t, fmt.Sprint("in the outage, after ", time.Since(begin)), verifier, token, nil)
					time.Sleep(time.Second)
				}
				if waited := time.Since(begin).Truncate(time.Second) - (30*time.Minute - time.Second); waited != 0 {
					t.Errorf("tokens waited for %v", waited)
				}
				s.mustHaveAsked(t, "in 22 minutes of outage", 132)
				time.Sleep(time.Second)
				must(t, "when its time is up", verifier, token, verify.ErrKeysUnavailable)
				must(t, "when its time is up, of somebody else", verifier, lasting(newSigner(jose.ES256)), verify.ErrKeysUnavailable)
				time.Sleep(20 * time.Second)
				s.change(func(s *server) { s.delay, s.failure, s.status, s.keys = 0, nil, 0, jwks(signers()[jose.ES256]) })
				must(t, "afterwards", verifier, token, nil)
			})
		})
	}
}

func TestAfterALongSilenceNobodyIsServedWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{control: "max-age=600"}
		s.put(signers()[jose.ES256])
		verifier, token := s.verifier(t, verify.Fetch{}), lasting(signers()[jose.ES256])
		must(t, "before", verifier, token, nil)
		time.Sleep(9 * time.Minute)
		s.change(func(s *server) { s.status = http.StatusInternalServerError })
		must(t, "in an outage", verifier, token, nil)
		synctest.Wait()
		s.change(func(s *server) { s.status, s.keys = 0, jwks() }) // It is over, and the key revoked.
		time.Sleep(30 * time.Minute)
		must(t, "half an hour later", verifier, token, verify.ErrUnknownKey)
	})
}

func TestRefusalsDuringAnOutageSayWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{failure: errors.New("connection refused")}
		verifier := s.verifier(t, verify.Fetch{})
		for _, want := range []time.Duration{10 * time.Second, 7 * time.Second} {
			_, refusal := verifier.Authenticate(t.Context(), []string{"Bearer " + lasting(signers()[jose.ES256])})
			if refusal == nil || refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter != want {
				t.Fatalf("got %+v, want 503 with Retry-After %v", refusal, want)
			}
			time.Sleep(3500 * time.Millisecond)
		}
		s.mustHaveAsked(t, "both", 1)
	})
}

func TestAFetchedDenyListIsUsedForAMinuteAtMostUnlessMoreIsAllowed(t *testing.T) {
	signer := signers()[jose.EdDSA]
	for sentence, c := range map[string]struct {
		control string
		fetch   verify.Fetch
		want    time.Duration
	}{
		"a few seconds":              {"public, max-age=5", verify.Fetch{}, 10 * time.Second},
		"nothing said":               {"", verify.Fetch{}, time.Minute},
		"nothing said, more allowed": {"", verify.Fetch{CacheDuration: time.Hour}, time.Hour},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{keys: denying(""), control: c.control}
				verifier := revoking(t, time.Now, verify.URL{URL: "https://keys.example.com/revocations.json", Fetch: c.fetch.Through(s)}, signer)
				must(t, "it is empty", verifier, lasting(signer), nil)
				s.change(func(s *server) { s.keys = denying(`{"jti":"one"}`) })
				time.Sleep(c.want*4/5 - time.Second)
				must(t, "within its time", verifier, lasting(signer), nil)
				time.Sleep(c.want / 5)
				time.Sleep(time.Second)
				must(t, "after it", verifier, lasting(signer), verify.ErrRevoked)
			})
		})
	}
}

func TestVerifiersShareWhatWasFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{control: "max-age=600"}
		s.put(signers()[jose.ES256])
		shared, err := verify.Share(issuer, verify.URL{URL: keysURL, Fetch: verify.Fetch{}.Through(s)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token := lasting(signers()[jose.ES256])
		for _, name := range []string{audience, "other"} {
			verifier := newVerifier(t, verify.Options{Issuers: []verify.Issuer{{Name: issuer, Audiences: []string{name}, Keys: shared}}})
			must(t, "for "+name, verifier, token, nil)
			must(t, "by an unknown key, within 10 seconds", verifier, lasting(signers()[jose.EdDSA]), verify.ErrUnknownKey)
		}
		s.mustHaveAsked(t, "two verifiers", 1)
		s.change(func(s *server) { s.failure = errors.New("away") })
		time.Sleep(3 * time.Hour)
		if err := shared.Ready(t.Context()); !errors.Is(err, verify.ErrKeysUnavailable) {
			t.Errorf("after an outage of hours: %v", err)
		}
	})
}
