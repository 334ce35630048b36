package discovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The limits of the server. A request has a short body or none, and a short answer, so whatever takes longer is no client.
const (
	headerTimeout   = 5 * time.Second
	exchangeTimeout = 10 * time.Second
	// idleTimeout is short: whoever keeps a connection for the next fetch, which is minutes away, keeps others out.
	idleTimeout = 15 * time.Second
	// shutdownTimeout is how long requests that were begun may take when the server stops.
	shutdownTimeout = 10 * time.Second
	// maxHeaderBytes has room for a token, of 16 KiB at most, and for what else a proxy hands on to the gate.
	maxHeaderBytes = 24 << 10
	// mostConnections bounds memory, to what the Pod has if each connection carries all it may. Whoever comes then waits.
	// docs/metrics.md names it.
	mostConnections = 2048
	// mostStreams is how many requests an HTTP/2 connection may carry at once. Each can take 36 KiB, for as long as
	// exchangeTimeout if its client does not read the answer, and takes a millisecond otherwise.
	mostStreams = 4
	// bodyWindow is how much of a request's body is taken in before a handler reads it. Only the token endpoints do, and they bound what
	// all bodies have together.
	bodyWindow = 1 << 10
)

// Server serves HTTPS on every replica, leader or not. It is a manager.Runnable.
type Server struct {
	// Address is where it listens, as host:port.
	Address string
	Handler http.Handler
	// Certificate is asked in every handshake, and so follows a renewal.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	serving atomic.Bool
}

// NeedLeaderElection is false: every replica serves.
func (*Server) NeedLeaderElection() bool { return false }

// Ready is a healthz.Checker. It returns nil from when the server listens until it is told to stop.
func (s *Server) Ready(*http.Request) error {
	if !s.serving.Load() {
		return errors.New("HTTPS is not served")
	}
	return nil
}

// Start serves until ctx is done, lets the requests finish that were begun, and returns nil. It fails if it cannot listen.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("serve HTTPS: %w", err)
	}
	return s.serve(ctx, listener)
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	logger := log.FromContext(ctx).WithName("discovery")
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.Certificate,
	}
	server := &http.Server{
		Handler: s.Handler, TLSConfig: config,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: exchangeTimeout, WriteTimeout: exchangeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ConnState: countConnections,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: mostStreams, MaxReceiveBufferPerStream: bodyWindow},
		// Anybody can fail a handshake, so that must not fill the log.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(logger.V(1)), slog.LevelInfo),
	}
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(tls.NewListener(netutil.LimitListener(listener, mostConnections), config))
	}()
	s.serving.Store(true)
	defer s.serving.Store(false)
	logger.Info("serving JWKS and discovery", "address", listener.Addr().String())
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTPS: %w", err)
	case <-ctx.Done():
	}
	s.serving.Store(false)
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return fmt.Errorf("stop serving HTTPS: %w", err)
	}
	return nil
}
