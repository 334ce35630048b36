package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// endpointVariable names a file with an endpoint, to have OAuth clients of others ask there.
const endpointVariable = "KEYTURN_INTEROP_ENDPOINT"

// endpoint is the token endpoint of an issuer, with two clients that may use every grant.
type endpoint struct {
	Issuer string `json:"issuer"`
	// CA is the file of what to trust there.
	CA           string `json:"ca"`
	ClientID     string `json:"clientID"`
	ClientSecret string `json:"clientSecret"`
	// KeyClientID proves itself with the private key in KeyFile, a JWK.
	KeyClientID string `json:"keyClientID"`
	KeyFile     string `json:"keyFile"`
	// Audience and Scope are what both may ask for.
	Audience string `json:"audience"`
	Scope    string `json:"scope"`
	// SubjectTokenFile holds a JWT that both may exchange; empty where they exchange an access token of their own.
	SubjectTokenFile string `json:"subjectTokenFile"`
}

// clients are libraries of OAuth clients, behind scripts that live the life of one.
func clients() []library {
	client := func(name string) library {
		return library{
			name:         name + " of npm",
			install:      "install Node.js 18 or later with npm, and run: npm ci --prefix test/interop",
			interpreters: []string{"node", "nodejs"},
			probe:        []string{"--input-type=module", "--eval", "import '" + name + "'"},
			script:       "testdata/" + name + ".mjs",
		}
	}
	return []library{client("openid-client"), client("oauth4webapi")}
}

// outcome is what a client got at a step of its life, without the token.
type outcome struct {
	Method string `json:"method"`
	Step   string `json:"step"`

	TokenType       string `json:"token_type"`
	Refreshable     bool   `json:"refreshable"`
	Scope           string `json:"scope"`
	IssuedTokenType string `json:"issued_token_type"`

	Active   bool   `json:"active"`
	ClientID string `json:"client_id"`
	Subject  string `json:"sub"`

	Error     string `json:"error"`
	Status    int    `json:"status"`
	Complaint string `json:"complaint"`
}

// life is what a client must get that proves itself by a method of RFC 7591 section 2.
func (e endpoint) life(method string) []outcome {
	id := e.ClientID
	if method == "private_key_jwt" {
		id = e.KeyClientID
	}
	issued := outcome{TokenType: "bearer", Refreshable: true, Scope: e.Scope}
	exchanged := issued
	exchanged.IssuedTokenType = "urn:ietf:params:oauth:token-type:access_token"
	known := outcome{
		Active: true, ClientID: id, Scope: e.Scope,
		Subject: "system:tokenclient:" + strings.Replace(id, ".", ":", 1),
	}
	refused := outcome{Error: "invalid_grant", Status: http.StatusBadRequest}
	var life []outcome
	step := func(name string, o outcome) {
		o.Method, o.Step = method, name
		life = append(life, o)
	}
	step("ask", issued)
	step("introspect", known)
	step("refresh", issued)
	step("introspect the new one", known)
	step("revoke the new one", outcome{})
	step("introspect the revoked one", outcome{})
	step("refresh with a used token", refused)
	step("refresh with its successor", refused)
	step("ask again", issued)
	step("revoke the refresh token", outcome{})
	step("refresh with the revoked token", refused)
	step("exchange", exchanged)
	step("ask with a wrong proof", outcome{Error: "invalid_client", Status: http.StatusUnauthorized})
	return life
}

// readEndpoint skips the test if there is none.
func readEndpoint(t *testing.T) endpoint {
	t.Helper()
	path := os.Getenv(endpointVariable)
	if path == "" {
		t.Skipf("%s is not set to a file that tells of a token endpoint", endpointVariable)
	}
	content, err := os.ReadFile(path) //nolint:gosec // Whoever runs the test names the file.
	if err != nil {
		t.Fatal(err)
	}
	var e endpoint
	if err := json.Unmarshal(content, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// variables are what testdata/story.mjs wants to know.
func (e endpoint) variables() []string {
	return []string{
		"ISSUER=" + e.Issuer, "NODE_EXTRA_CA_CERTS=" + e.CA, "AUDIENCE=" + e.Audience, "SCOPE=" + e.Scope,
		"CLIENT_ID=" + e.ClientID, "CLIENT_SECRET=" + e.ClientSecret, "KEY_CLIENT_ID=" + e.KeyClientID, "KEY_FILE=" + e.KeyFile,
		"SUBJECT_TOKEN_FILE=" + e.SubjectTokenFile,
	}
}

func TestForeignClientsAskForTokens(t *testing.T) {
	t.Parallel()
	e := readEndpoint(t)
	for _, library := range clients() {
		t.Run(library.name, func(t *testing.T) {
			t.Parallel()
			program := library.program(t)
			said, err := runWith(t, e.variables(), nil, program.interpreter, program.script)
			if err != nil {
				t.Fatal(err)
			}
			var got, want []outcome
			for line := range strings.Lines(string(said)) {
				var o outcome
				if err := json.Unmarshal([]byte(line), &o); err != nil {
					t.Fatalf("read what %s said: %v", program.script, err)
				}
				got = append(got, o)
			}
			for _, method := range []string{"client_secret_basic", "client_secret_post", "private_key_jwt"} {
				want = append(want, e.life(method)...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClientsOfGoAskForTokens(t *testing.T) {
	t.Parallel()
	e := readEndpoint(t)
	for method, style := range map[string]oauth2.AuthStyle{
		"client_secret_basic": oauth2.AuthStyleInHeader,
		"client_secret_post":  oauth2.AuthStyleInParams,
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			client := newGoClient(t, e, method, style)
			client.live()
			var want []outcome
			for _, step := range e.life(method) {
				if client.did[step.Step] {
					want = append(want, step)
				}
			}
			if diff := cmp.Diff(want, client.outcomes); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

// goClient is golang.org/x/oauth2, which asks and refreshes and knows no other grant.
type goClient struct {
	context  context.Context //nolint:containedctx // The library takes its HTTP client in the context, so it is part of the client.
	method   string
	config   clientcredentials.Config
	outcomes []outcome
	did      map[string]bool
}

func newGoClient(t *testing.T, e endpoint, method string, style oauth2.AuthStyle) *goClient {
	t.Helper()
	authority, err := os.ReadFile(e.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	return &goClient{
		context: context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: transport}),
		method:  method, did: map[string]bool{},
		config: clientcredentials.Config{
			ClientID: e.ClientID, ClientSecret: e.ClientSecret, TokenURL: e.Issuer + "/token", AuthStyle: style,
			Scopes: strings.Fields(e.Scope), EndpointParams: map[string][]string{"audience": {e.Audience}},
		},
	}
}

func (c *goClient) live() {
	first := c.step("ask", c.config.Token)
	second := c.step("refresh", c.refresh(first))
	c.step("refresh with a used token", c.refresh(first))
	c.step("refresh with its successor", c.refresh(second))
	c.config.ClientSecret += "x"
	c.step("ask with a wrong proof", c.config.Token)
}

func (c *goClient) refresh(token *oauth2.Token) func(context.Context) (*oauth2.Token, error) {
	config := oauth2.Config{
		ClientID: c.config.ClientID, ClientSecret: c.config.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: c.config.TokenURL, AuthStyle: c.config.AuthStyle},
	}
	return func(ctx context.Context) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	}
}

// step does one, and returns the token or an empty one.
func (c *goClient) step(name string, ask func(context.Context) (*oauth2.Token, error)) *oauth2.Token {
	c.did[name] = true
	o := outcome{Method: c.method, Step: name}
	token, err := ask(c.context)
	if refusal := (*oauth2.RetrieveError)(nil); errors.As(err, &refusal) {
		o.Error, o.Status = refusal.ErrorCode, refusal.Response.StatusCode
	} else if err != nil {
		o.Complaint = err.Error()
	} else {
		o.TokenType, o.Refreshable = strings.ToLower(token.TokenType), token.RefreshToken != ""
		o.Scope, _ = token.Extra("scope").(string)
	}
	c.outcomes = append(c.outcomes, o)
	if token == nil {
		return &oauth2.Token{}
	}
	return token
}
