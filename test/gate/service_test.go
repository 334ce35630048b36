package gate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/jose"
)

// service is what is protected: it keeps the requests that reach it.
type service struct {
	*httptest.Server
	mu   sync.Mutex
	seen []http.Header
	// targets are what they asked for, as it was sent.
	targets []string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen, s.targets = append(s.seen, r.Header), append(s.targets, r.RequestURI)
		_, _ = io.WriteString(w, "hello\n")
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) address() string { return s.Listener.Addr().String() }

// took returns the requests since it was asked the last time.
func (s *service) took() ([]http.Header, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, targets := s.seen, s.targets
	s.seen, s.targets = nil, nil
	return seen, targets
}

// token is good for an hour unless changes say otherwise.
func (w *cluster) token(changes map[string]any) string {
	w.t.Helper()
	at := now().Unix()
	claims := map[string]any{
		"iss": w.issuer, "aud": audience, "sub": "alice", "jti": newID(), "scope": "orders:read",
		"iat": at, "nbf": at - 60, "exp": at + 3600,
	}
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	w.must(err)
	compact, err := jose.Sign(w.key, "at+jwt", payload)
	w.must(err)
	return compact.Reveal()
}

// now is the time of the machine, which is that of the proxies.
func now() time.Time { return clock.RealClock{}.Now() }

func newID() string { return string(uuid.NewUUID()) }

// answer is what a caller gets.
type answer struct {
	status int
	header http.Header
}

// send writes a request as it is, because clients of HTTP mend what attackers send.
func send(ctx context.Context, address, target string, headers ...string) (answer, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return answer{}, fmt.Errorf("connect: %w", err)
	}
	defer connection.Close() //nolint:errcheck // The answer has been read.
	if err := connection.SetDeadline(now().Add(patience)); err != nil {
		return answer{}, fmt.Errorf("limit time: %w", err)
	}
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: orders.example.com", "Connection: close"}, headers...)
	if _, err := connection.Write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n")); err != nil {
		return answer{}, fmt.Errorf("send: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	return answer{response.StatusCode, response.Header}, response.Body.Close()
}
