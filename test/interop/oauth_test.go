package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

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

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // The name of a kind of token is no token.

// life is what a client must get that proves itself by a method of RFC 7591 section 2.
func (e endpoint) life(method string) []outcome {
	exchanged := outcome{TokenType: "bearer", Scope: scope, IssuedTokenType: accessTokenType}
	id := e.clientID
	if method == "private_key_jwt" {
		id = e.keyClientID
	}
	issued := outcome{TokenType: "bearer", Scope: scope, Refreshable: true}
	namespace, name, _ := strings.Cut(id, ".")
	known := outcome{Active: true, ClientID: id, Scope: scope, Subject: "system:tokenclient:" + namespace + ":" + name}
	acting := known
	acting.Subject = "system:serviceaccount:" + namespace + ":pod"
	refused := outcome{Error: "invalid_grant", Status: http.StatusBadRequest}
	return []outcome{
		step(method, "ask", issued),
		step(method, "introspect", known),
		step(method, "refresh", issued),
		step(method, "introspect the new one", known),
		// An access token is verified without asking anybody: only a TokenRevocation takes it back.
		step(method, "revoke the new access token", outcome{Error: "unsupported_token_type", Status: http.StatusBadRequest}),
		step(method, "introspect it again", known),
		step(method, "refresh with a used token", refused),
		step(method, "refresh with its successor", refused),
		step(method, "ask again", issued),
		step(method, "revoke the refresh token", outcome{}),
		step(method, "refresh with the revoked token", refused),
		step(method, "a Pod asks", exchanged),
		step(method, "act for the Pod", exchanged),
		step(method, "introspect that", acting),
		step(method, "ask with a wrong proof", outcome{Error: "invalid_client", Status: http.StatusUnauthorized}),
	}
}

func step(method, name string, o outcome) outcome {
	o.Method, o.Step = method, name
	return o
}

// variables are what testdata/story.mjs wants to know.
func (e endpoint) variables() []string {
	return []string{
		"ISSUER=" + e.issuer, "NODE_EXTRA_CA_CERTS=" + e.ca, "AUDIENCE=" + audience, "SCOPE=" + scope,
		"CLIENT_ID=" + e.clientID, "CLIENT_SECRET=" + e.clientSecret, "KEY_CLIENT_ID=" + e.keyClientID, "KEY_FILE=" + e.keyFile,
		"ACCOUNT_CLIENT_ID=" + e.accountClientID, "ACCOUNT_TOKEN_FILE=" + e.accountTokenFile,
	}
}

func TestForeignClientsAskTheCluster(t *testing.T) {
	t.Parallel()
	if os.Getenv(clusterVariable) == "" {
		t.Skipf("%s is not set: run make up, and set it", clusterVariable)
	}
	e := newEndpoint(t)
	for _, library := range clients() {
		t.Run(library.name, func(t *testing.T) {
			var want []outcome
			for _, method := range []string{"client_secret_basic", "client_secret_post", "private_key_jwt"} {
				want = append(want, e.life(method)...)
			}
			if diff := cmp.Diff(want, live(t, library.program(t), e)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
	for method, style := range map[string]oauth2.AuthStyle{
		"client_secret_basic": oauth2.AuthStyleInHeader,
		"client_secret_post":  oauth2.AuthStyleInParams,
	} {
		t.Run("golang.org/x/oauth2 with "+method, func(t *testing.T) {
			client := newGoClient(t, e, method, style)
			client.live()
			want := slices.DeleteFunc(e.life(method), func(o outcome) bool { return !client.did[o.Step] })
			if diff := cmp.Diff(want, client.outcomes); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

// live returns what the clients of a library got.
func live(t *testing.T, p program, e endpoint) []outcome {
	t.Helper()
	said, err := runWith(t, e.variables(), nil, p.interpreter, p.script)
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []outcome
	for line := range strings.Lines(string(said)) {
		var o outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("read what %s said: %v", p.script, err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes
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
	authority, err := os.ReadFile(e.ca)
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
			ClientID: e.clientID, ClientSecret: e.clientSecret, TokenURL: e.issuer + "/token", AuthStyle: style,
			Scopes: []string{scope}, EndpointParams: map[string][]string{"audience": {audience}},
		},
	}
}

func (c *goClient) live() {
	first := c.do("ask", c.config.Token)
	second := c.do("refresh", c.refresh(first))
	c.do("refresh with a used token", c.refresh(first))
	c.do("refresh with its successor", c.refresh(second))
	c.config.ClientSecret += "x"
	c.do("ask with a wrong proof", c.config.Token)
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

// do does a step, and returns the token or an empty one.
func (c *goClient) do(name string, ask func(context.Context) (*oauth2.Token, error)) *oauth2.Token {
	c.did[name] = true
	o := step(c.method, name, outcome{})
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
