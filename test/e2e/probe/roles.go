package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/test/e2e/party"
	"github.com/keyturn/keyturn/test/verifier"
)

const (
	// timeout bounds each request that a role makes.
	timeout = 5 * time.Second
	// fetchTimeout bounds the requests that somebody waits for who presents a token. Another try may reach another replica.
	fetchTimeout = time.Second
)

// roleServer is a role at work: what it serves, and what it does meanwhile.
type roleServer struct {
	mux *http.ServeMux
	// do is done every so often.
	do    func(context.Context)
	every time.Duration
	clock clock.WithTicker
}

func newServer(counts http.HandlerFunc) roleServer {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /counts", counts)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	return roleServer{mux: mux, clock: clock.RealClock{}}
}

func present(flags *flag.FlagSet) func(context.Context) (roleServer, error) {
	p := &party.Presenter{Client: &http.Client{Timeout: timeout}}
	flags.StringVar(&p.File, "token", "/run/token/token", "file of the token")
	flags.StringVar(&p.URL, "url", "", "where to present it")
	every := flags.Duration("every", time.Second, "how often")
	return func(context.Context) (roleServer, error) {
		server := newServer(p.Counts())
		server.do, server.every = func(ctx context.Context) { p.Present(ctx, server.clock.Now()) }, *every
		return server, nil
	}
}

func verify(flags *flag.FlagSet) func(context.Context) (roleServer, error) {
	issuer := flags.String("issuer", "", "who must have issued the tokens")
	audience := flags.String("audience", "", "whom they must be for")
	keep := flags.Duration("keep", 0, "how long a JWKS may be kept")
	mounted := flags.String("jwks", "", "verify by the JWKS in this file")
	discover := flags.Bool("discover", false, "verify by the JWKS that the issuer's URL leads to")
	authorities := flags.String("ca", "", "file of the CA that the issuer's server is trusted by")
	return func(context.Context) (roleServer, error) {
		var verifiers []*verifier.Verifier
		if *mounted != "" {
			verifiers = append(verifiers, &verifier.Verifier{Habit: "mounted JWKS, cached", Source: party.Mounted(*mounted, *keep)})
		}
		if *discover {
			client, err := trusting(*authorities)
			if err != nil {
				return roleServer{}, err
			}
			client.Timeout = fetchTimeout
			verifiers = append(verifiers, &verifier.Verifier{
				Habit: "JWKS by discovery, asked for when half of max-age is over", Ahead: true, Source: verifier.Discovery(client, *issuer),
			})
		}
		if len(verifiers) == 0 {
			return roleServer{}, errors.New("neither -jwks nor -discover says where the JWKS is")
		}
		for _, v := range verifiers {
			v.Issuer, v.Audience, v.Keep = *issuer, *audience, *keep
		}
		judge := party.NewJudge(clock.RealClock{}, verifiers...)
		server := newServer(judge.Counts())
		server.mux.HandleFunc("POST /verify", judge.Verify)
		return server, nil
	}
}

func call(flags *flag.FlagSet) func(context.Context) (roleServer, error) {
	caller := &party.Caller{}
	flags.StringVar(&caller.URL, "url", "", "of the document")
	authorities := flags.String("ca", "", "file of the CA that its server is trusted by")
	every := flags.Duration("every", 100*time.Millisecond, "how often")
	return func(context.Context) (roleServer, error) {
		kept, err := trusting(*authorities)
		if err != nil {
			return roleServer{}, err
		}
		fresh, err := trusting(*authorities)
		if err != nil {
			return roleServer{}, err
		}
		fresh.Transport.(*http.Transport).DisableKeepAlives = true
		caller.Clients = []*http.Client{kept, fresh}
		server := newServer(caller.Counts())
		server.do, server.every = caller.Call, *every
		return server, nil
	}
}

func ask(flags *flag.FlagSet) func(context.Context) (roleServer, error) {
	asker := &party.Asker{Clock: clock.RealClock{}}
	flags.StringVar(&asker.File, "token", "/run/token/token", "file of the projected token")
	flags.StringVar(&asker.Endpoint, "endpoint", "", "token endpoint")
	flags.StringVar(&asker.Gate, "gate", "", "where to present the tokens")
	flags.StringVar(&asker.Other, "other", "", "where to present them to another policy")
	authorities := flags.String("ca", "", "file of the CA that both are trusted by")
	every := flags.Duration("every", 0, "how often, and by kept connections; only when it is told to, and by new ones, if 0")
	return func(context.Context) (roleServer, error) {
		client, err := trusting(*authorities)
		if err != nil {
			return roleServer{}, err
		}
		client.Timeout = fetchTimeout
		client.Transport.(*http.Transport).DisableKeepAlives = *every == 0
		asker.Client = client
		server := newServer(asker.Counts())
		server.mux.HandleFunc("GET /ask", asker.Ask)
		server.mux.HandleFunc("GET /present", asker.Present)
		if *every > 0 {
			server.do, server.every = asker.Turn, *every
		}
		return server, nil
	}
}

// trusting returns a client that trusts servers by that CA alone.
func trusting(file string) (*http.Client, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read CA: there is no certificate in %s", file)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return &http.Client{Timeout: timeout, Transport: transport}, nil
}

// serve does what the role does until the context ends.
func (s roleServer) serve(ctx context.Context, address string) error {
	server := &http.Server{Addr: address, Handler: s.mux, ReadHeaderTimeout: timeout}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	if s.do != nil {
		go s.repeat(ctx)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

func (s roleServer) repeat(ctx context.Context) {
	ticker := s.clock.NewTicker(s.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			s.do(ctx)
		case <-ctx.Done():
			return
		}
	}
}
