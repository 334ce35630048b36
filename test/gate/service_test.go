package gate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

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
		_, _ = fmt.Fprintln(w, "hello "+r.Header.Get("X-Subject"))
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
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": w.issuer, "aud": audience, "sub": "alice", "jti": fmt.Sprint(time.Now().UnixNano()), "scope": "orders:read",
		"iat": now, "nbf": now - 60, "exp": now + 3600,
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

// send writes a request as it is, because clients of HTTP mend what attackers send.
func send(ctx context.Context, address, target string, headers ...string) (*http.Response, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer connection.Close() //nolint:errcheck // The answer has been read.
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, fmt.Errorf("limit time: %w", err)
	}
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: orders.example.com", "Connection: close"}, headers...)
	if _, err := connection.Write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n")); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return response, response.Body.Close()
}
