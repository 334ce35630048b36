package discovery

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
)

// certificate is for 127.0.0.1, and trusted by its pool.
func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := clock.RealClock{}.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// served is a Server that runs until stop is called, and a client that trusts it.
type served struct {
	server *Server
	client *http.Client
	url    string
	stop   context.CancelFunc
	ended  chan error
}

func serve(t *testing.T, handler http.Handler) *served {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	presented, trusted := certificate(t)
	s := &served{
		server: &Server{Address: address, Handler: handler, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return presented, nil
		}},
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		}},
		url: "https://" + address, ended: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s.stop = cancel
	go func() { s.ended <- s.server.Start(ctx) }()
	t.Cleanup(cancel)
	until(t, "the server is ready", func() bool { return s.server.Ready(nil) == nil })
	return s
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// get returns the protocol of an answer and its body.
func (s *served) get(ctx context.Context) (protocol, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return "", "", err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", "", err
	}
	read, err := io.ReadAll(response.Body)
	return response.Proto, string(read), errors.Join(err, response.Body.Close())
}

func TestTheServerSpeaksHTTP2OverTLS(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	protocol, body, err := s.get(t.Context())
	if err != nil || body != "hello" || protocol != "HTTP/2.0" {
		t.Fatalf("got %q by %s, %v", body, protocol, err)
	}
	old := s.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := (&tls.Dialer{Config: old}).DialContext(t.Context(), "tcp", s.server.Address); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

func TestAServerThatIsToldToStopIsNotReadyAndFinishesWhatWasBegun(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-proceed
		_, _ = io.WriteString(w, "late")
	}))
	answer := make(chan string, 1)
	go func() {
		_, body, err := s.get(context.WithoutCancel(t.Context()))
		answer <- body + errorText(err)
	}()
	<-begun
	s.stop()
	until(t, "the server is not ready", func() bool { return s.server.Ready(nil) != nil })
	select {
	case err := <-s.ended:
		t.Errorf("the server ended before its request did: %v", err)
	default:
	}
	close(proceed)
	if got := <-answer; got != "late" {
		t.Errorf("the request that was begun got %q", got)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, _, err := s.get(t.Context()); err == nil {
		t.Error("a server that has stopped answers")
	}
}

func TestAServerThatCannotListenSaysSo(t *testing.T) {
	first := serve(t, http.NotFoundHandler())
	second := &Server{Address: first.server.Address, Handler: http.NotFoundHandler()}
	if err := second.Start(t.Context()); err == nil || second.Ready(nil) == nil {
		t.Errorf("two servers listen on %s (%v)", first.server.Address, err)
	}
	if second.NeedLeaderElection() {
		t.Error("only the leader would serve")
	}
}

// pipes is a listener of connections in memory, which a bubble's time can pass over.
type pipes struct{ accepted chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	if conn, open := <-p.accepted; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error {
	close(p.accepted)
	return nil
}

func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.accepted <- theirs
	return ours, nil
}

func TestAConnectionThatIsKeptForLaterGivesWayToOthers(t *testing.T) {
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := testutil.ToFloat64(connections)
				presented, trusted := certificate(t)
				listener := pipes{make(chan net.Conn)}
				server := &Server{Handler: http.NotFoundHandler(), Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
					return presented, nil
				}}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- server.serve(ctx, listener) }()
				s := served{url: "https://127.0.0.1", client: &http.Client{Transport: &http.Transport{
					TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: want == "HTTP/2.0", DialContext: listener.dial,
				}}}
				if protocol, _, err := s.get(t.Context()); err != nil || protocol != want {
					t.Fatalf("got an answer by %q, %v", protocol, err)
				}
				if open := testutil.ToFloat64(connections) - before; open != 1 {
					t.Errorf("%v connections are told, want 1", open)
				}
				clock.RealClock{}.Sleep(16 * time.Second)
				synctest.Wait()
				if open := testutil.ToFloat64(connections) - before; open != 0 {
					t.Errorf("after 16 seconds without a request %v connections are open", open)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
