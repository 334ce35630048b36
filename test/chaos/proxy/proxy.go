// Package proxy stands between an operator and the API server, and disturbs what they say to each other.
package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Fault is what happens to requests. A function that is nil does nothing.
type Fault struct {
	// Before is called when a request has come, and says whether the API server gets it. It may take its time.
	Before func(*http.Request) bool
	// After is called when the API server has answered, so that what was asked for is done, and says whether the answer is
	// passed on.
	After func(*http.Request) bool
}

// Proxy passes requests on as the user of its access to the API server, whoever sends them.
type Proxy struct {
	server  *http.Server
	address string
	pass    *httputil.ReverseProxy

	mu          sync.Mutex
	fault       Fault
	connections map[net.Conn]struct{}
	away        bool
}

// Listen returns a proxy on a loopback port. Certificate is shown to those who connect.
func Listen(ctx context.Context, access *rest.Config, certificate tls.Certificate) (*Proxy, error) {
	target, err := url.Parse(access.Host)
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(access)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the operator: %w", err)
	}
	p := &Proxy{address: listener.Addr().String(), connections: map[net.Conn]struct{}{}}
	silent := log.New(silence{}, "", 0) // Each connection that is cut would be told of.
	p.pass = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: p.answered,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       silent,
	}
	const patience = 10 * time.Second
	p.server = &http.Server{
		Handler: p, ErrorLog: silent, ReadHeaderTimeout: patience, ConnState: p.follow,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = p.server.ServeTLS(listener, "", "") }() // It ends when it is closed.
	return p, nil
}

type silence struct{}

func (silence) Write(line []byte) (int, error) { return len(line), nil }

// Close ends the proxy and its connections.
func (p *Proxy) Close() error { return p.server.Close() }

// URL is where an operator finds it.
func (p *Proxy) URL() string { return "https://" + p.address }

// Inject has requests meet the fault from now on, and none if it is empty.
func (p *Proxy) Inject(fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// Cut closes all connections, and refuses others while away is true.
func (p *Proxy) Cut(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
	for connection := range p.connections {
		_ = connection.Close() // Some have ended meanwhile.
	}
}

// ServeHTTP is for the server only.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if before := p.current().Before; before != nil && !before(r) {
		panic(http.ErrAbortHandler)
	}
	p.pass.ServeHTTP(w, r)
}

func (p *Proxy) answered(response *http.Response) error {
	if after := p.current().After; after != nil && !after(response.Request) {
		return http.ErrAbortHandler
	}
	return nil
}

func (p *Proxy) current() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

func (p *Proxy) follow(connection net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.connections[connection] = struct{}{}
		if p.away {
			_ = connection.Close()
		}
	case http.StateClosed, http.StateHijacked:
		delete(p.connections, connection)
	default: // It is open.
	}
}
