package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The limits of the server. Each Envoy has a connection for each of its threads, and keeps it.
const (
	handshakeTimeout = 5 * time.Second
	// maxMessageBytes is more than the headers of a request, of which Envoy takes 60 KiB unless told otherwise.
	maxMessageBytes = 128 << 10
	mostConnections = 256
	mostStreams     = 64
	// connectionAge makes Envoys look for other replicas now and then.
	connectionAge = 10 * time.Minute
	// pingsEvery is how often a client may ask whether the connection is alive.
	pingsEvery = 10 * time.Second
	// shutdownTimeout is how long calls that were begun may take when the server stops.
	shutdownTimeout = 10 * time.Second
)

// Server serves ext_authz to Envoys on every replica, leader or not. It is a manager.Runnable.
type Server struct {
	// Address is where it listens, as host:port.
	Address    string
	Authorizer *Authorizer
	// Certificate is asked in every handshake, and so follows a renewal.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	serving atomic.Bool
}

// NeedLeaderElection is false: every replica serves.
func (*Server) NeedLeaderElection() bool { return false }

// Ready is a healthz.Checker. It returns nil from when the server listens until it is told to stop.
func (s *Server) Ready(*http.Request) error {
	if !s.serving.Load() {
		return errors.New("ext_authz is not served")
	}
	return nil
}

// Start serves until ctx is done, lets the calls finish that were begun, and returns nil. It fails if it cannot listen.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("serve ext_authz: %w", err)
	}
	return s.serve(ctx, listener)
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.Certificate})),
		grpc.ConnectionTimeout(handshakeTimeout), grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxConcurrentStreams(mostStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: shutdownTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsEvery, PermitWithoutStream: true}),
	)
	authv3.RegisterAuthorizationServer(server, s.Authorizer)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, mostConnections)) }()
	s.serving.Store(true)
	defer s.serving.Store(false)
	log.FromContext(ctx).WithName("gate").Info("serving ext_authz", "address", listener.Addr().String())
	select {
	case err := <-ended:
		return fmt.Errorf("serve ext_authz: %w", err)
	case <-ctx.Done():
	}
	s.serving.Store(false)
	stop(ctx, server)
	return nil
}

// stop waits for the calls that were begun, but not for ever.
func stop(ctx context.Context, server *grpc.Server) {
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	go func() {
		<-patience.Done()
		server.Stop() // Nothing, if it has stopped already.
	}()
	server.GracefulStop()
}
