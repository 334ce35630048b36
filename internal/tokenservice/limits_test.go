package tokenservice_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/tokenservice"
)

// from sends a request of shop.cart from an address.
func (s *service) from(address, secret string) reply {
	s.t.Helper()
	r := s.request("token", "grant_type=client_credentials&client_id="+clientID+"&client_secret="+secret)
	r.RemoteAddr = address
	return s.do(r)
}

func TestNobodyUsesUpWhatAnotherMayAsk(t *testing.T) {
	s := begin(t, cart()...)
	s.options.Limits = tokenservice.Limits{PerAddress: 100, PerClient: 5}
	s.serve()
	for range 30 {
		s.refused(s.from("203.0.113.9:1", "wrong"), http.StatusUnauthorized, "invalid_client")
	}
	for range 20 {
		s.granted(s.from("192.0.2.1:1", secret))
	}
	s.refused(s.from("192.0.2.1:1", secret), http.StatusTooManyRequests, "temporarily_unavailable")
}

func TestWhoProvesNothingWaitsAsLongAsWhoFails(t *testing.T) {
	s := begin(t, cart()...)
	s.options.Limits = tokenservice.Limits{PerAddress: 5}
	s.serve()
	anonymous := func() reply { return s.post("token", "anonymous", "", "grant_type", "client_credentials") }
	for range 2 {
		s.refused(anonymous(), http.StatusUnauthorized, "invalid_client")
	}
	s.refused(anonymous(), http.StatusTooManyRequests, "temporarily_unavailable")
}

func TestAHostHasOneShareWhateverItCallsItself(t *testing.T) {
	for sentence, c := range map[string]struct {
		address func(i int) string
		judged  int
	}{
		"one IPv4 address":                 {func(int) string { return "203.0.113.9:1" }, 2},
		"ports of one address":             {func(i int) string { return fmt.Sprintf("203.0.113.9:%d", i) }, 2},
		"one IPv4 address, as IPv6 has it": {func(i int) string { return [...]string{"[::ffff:203.0.113.9]:1", "203.0.113.9:1"}[i%2] }, 2},
		"addresses of one IPv6 network":    {func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i) }, 2},
		"zones of one address":             {func(i int) string { return fmt.Sprintf("[fe80::1%%eth%d]:1", i) }, 2},
		"IPv4 addresses":                   {func(i int) string { return fmt.Sprintf("203.0.113.%d:1", i) }, 20},
		"IPv6 networks":                    {func(i int) string { return fmt.Sprintf("[2001:db8:0:%x::1]:1", i) }, 20},
	} {
		s := begin(t, cart()...)
		s.options.Limits = tokenservice.Limits{PerAddress: 5}
		s.serve()
		judged := 0
		for i := range 20 {
			if s.from(c.address(i), "wrong").status == http.StatusUnauthorized {
				judged++
			}
		}
		if judged != c.judged {
			t.Errorf("%s: %d of 20 wrong secrets were judged, want %d", sentence, judged, c.judged)
		}
	}
}

func TestLargeBodiesTogetherAreRefusedBeforeMemoryIs(t *testing.T) {
	s := begin(t, cart()...)
	const many, each = 700, 60 << 10
	for range 2 { // A second time, because the first must leave nothing behind.
		var running sync.WaitGroup
		var refused atomic.Int32
		writers := make([]*io.PipeWriter, many)
		for i := range writers {
			var body *io.PipeReader
			body, writers[i] = io.Pipe()
			r := s.request("token", "")
			r.Body = body
			running.Go(func() {
				recorder := httptest.NewRecorder()
				s.handler.ServeHTTP(recorder, r)
				if recorder.Code == http.StatusServiceUnavailable && recorder.Header().Get("Retry-After") == "1" {
					refused.Add(1)
				}
				_ = body.Close()
			})
		}
		for _, w := range writers {
			_, _ = w.Write(bytes.Repeat([]byte("a"), each)) // It fails for those that are refused.
		}
		for _, w := range writers {
			_ = w.Close()
		}
		running.Wait()
		if n := int(refused.Load()); n < 1 || n > many/2 {
			t.Errorf("%d of %d were refused", n, many)
		}
		s.granted(s.from("192.0.2.1:1", secret))
	}
}
