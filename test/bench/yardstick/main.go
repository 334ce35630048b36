// Command yardstick is what Keyturn's HTTPS server is compared with: the same server, with handlers that do one thing and nothing
// else. It is a process of its own, so that it shares with the operator what the machine has, and nothing more.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/internal/discovery"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	address := flag.String("address", "127.0.0.1:0", "where to listen")
	jwks := flag.String("jwks", "", "file with the JWK Set that is served, and whose first key verifies")
	flag.Parse()
	err := serve(ctx, *address, *jwks)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "yardstick:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, address, jwks string) error {
	log.SetLogger(log.Log.WithSink(nil))
	set, err := os.ReadFile(jwks)
	if err != nil {
		return fmt.Errorf("read JWK Set: %w", err)
	}
	public, err := firstKey(set)
	if err != nil {
		return err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	certificate, err := selfSigned(private)
	if err != nil {
		return err
	}
	wall := clock.RealClock{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /empty", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /jwks.json", static(set))
	mux.Handle("GET /verify", verifies{public, wall})
	mux.Handle("POST /token", signs{private, wall})
	mux.HandleFunc("POST /admit", admit)
	server := &discovery.Server{
		Address: address, Handler: mux,
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
	}
	return server.Start(ctx)
}

func selfSigned(key *ecdsa.PrivateKey) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, //nolint:mnd // The address of this machine.
		NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

var errNoKey = errors.New("the JWK Set does not begin with a key of curve P-256")
