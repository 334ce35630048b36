package gate

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// envoy asks as Envoy does.
type envoy struct {
	client authv3.AuthorizationClient
	stop   context.CancelFunc
	ended  chan error
}

// dial serves a replica's gate by ext_authz on loopback, by TLS.
func dial(t *testing.T, r *replica) *envoy {
	t.Helper()
	site := httptest.NewTLSServer(http.NotFoundHandler()) // It has a certificate.
	site.Close()
	server := &Server{Authorizer: NewAuthorizer(r.gate), Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &site.TLS.Certificates[0], nil
	}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	e := &envoy{stop: stop, ended: make(chan error, 1)}
	go func() { e.ended <- server.serve(ctx, listener) }()
	believe := site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: believe, ServerName: "example.com", MinVersion: tls.VersionTLS12,
	})))
	if err != nil {
		t.Fatal(err)
	}
	e.client = authv3.NewAuthorizationClient(connection)
	t.Cleanup(func() {
		stop()
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
		if err := <-e.ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

// check is what Envoy sends: headers of one name joined, as it does unless told otherwise.
func check(policy string, incoming Incoming, headers map[string]string) *authv3.CheckRequest {
	sent := map[string]string{}
	for name, value := range headers {
		sent[strings.ToLower(name)] = value
	}
	if incoming.Authorization != nil {
		sent["authorization"] = strings.Join(incoming.Authorization, ",")
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: map[string]string{"policy": policy},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: incoming.Method[0], Host: incoming.Host[0], Path: incoming.URI[0], Headers: sent,
		}},
	}}
}

// present returns the status that the caller of Envoy gets, 200 for one who is let in; 0 if Envoy could not send such a request, and
// lets nobody in.
func (e *envoy) present(t *testing.T, incoming Incoming) int {
	t.Helper()
	response, err := e.client.Check(t.Context(), check("shop/api", incoming, nil))
	switch code := status.Code(err); {
	case code == codes.ResourceExhausted || code == codes.Internal: // Too large, or not UTF-8.
		return 0
	case err != nil:
		t.Fatal(err)
	case response.GetOkResponse() != nil:
		return http.StatusOK
	}
	return int(response.GetDeniedResponse().GetStatus().GetCode())
}

func (e *envoy) ask(t *testing.T, request *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	response, err := e.client.Check(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestEnvoyIsTold(t *testing.T) {
	r, s := begun(t, header("X-Subject", "sub"), header("X-Tenant", "tenant"), scope("orders:read"))
	e := dial(t, r)
	request := from("GET", "orders.example.com", "/")
	request.Authorization = bearer(s.sign(nil))
	response := e.ask(t, check("shop/api", request, map[string]string{"X-Subject": "root", "X-Tenant": "acme"}))
	ok := response.GetOkResponse()
	if diff := cmp.Diff([]string{"x-tenant"}, ok.GetHeadersToRemove()); diff != "" {
		t.Errorf("headers to remove (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"X-Subject: alice, OVERWRITE_IF_EXISTS_OR_ADD"}, options(ok.GetHeaders())); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	request.Authorization = bearer(s.sign(claims{"scope": ""}))
	response = e.ask(t, check("shop/api", request, nil))
	want := []string{
		"Cache-Control: no-store, OVERWRITE_IF_EXISTS_OR_ADD", "Content-Type: text/plain; charset=utf-8, OVERWRITE_IF_EXISTS_OR_ADD",
		`WWW-Authenticate: Bearer realm="api", error="insufficient_scope", error_description="the token lacks a scope that is required", ` +
			`scope="orders:read", OVERWRITE_IF_EXISTS_OR_ADD`,
		"X-Content-Type-Options: nosniff, OVERWRITE_IF_EXISTS_OR_ADD",
	}
	denied := response.GetDeniedResponse()
	if diff := cmp.Diff(want, options(denied.GetHeaders())); diff != "" || denied.GetBody() != "the token lacks a scope that is required\n" {
		t.Errorf("body %q, headers (-want +got):\n%s", denied.GetBody(), diff)
	}
}

func options(of []*corev3.HeaderValueOption) []string {
	var told []string
	for _, one := range of {
		told = append(told, one.GetHeader().GetKey()+": "+one.GetHeader().GetValue()+", "+one.GetAppendAction().String())
	}
	return told
}

func TestEnvoyGetsTheStatusOfEachAnswer(t *testing.T) {
	r, s := begun(t, rule("request.path == '/orders'", ""))
	r.write(&v1alpha1.TokenPolicy{ObjectMeta: named("broken"), Spec: v1alpha1.TokenPolicySpec{Rules: []v1alpha1.RequestRule{{Expression: "1"}}}})
	e := dial(t, r)
	for name, test := range map[string]struct {
		policy, token, target string
		status                int
		code                  codes.Code
	}{
		"let in":                {"shop/api", s.sign(nil), "/orders?x", 0, codes.OK},
		"no token":              {"shop/api", "", "/orders", 401, codes.Unauthenticated},
		"expired":               {"shop/api", s.sign(claims{"exp": start().Unix()}), "/orders", 401, codes.Unauthenticated},
		"not by the rule":       {"shop/api", s.sign(nil), "/orders/7", 403, codes.PermissionDenied},
		"no such policy":        {"shop/other", s.sign(nil), "/orders", 404, codes.NotFound},
		"no policy":             {"", s.sign(nil), "/orders", 404, codes.NotFound},
		"no name":               {"shop", s.sign(nil), "/orders", 404, codes.NotFound},
		"more than a name":      {"shop/api/x", s.sign(nil), "/orders", 404, codes.NotFound},
		"that does not compile": {"shop/broken", s.sign(nil), "/orders", 503, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			request := from("GET", "orders.example.com", test.target)
			if test.token != "" {
				request.Authorization = bearer(test.token)
			}
			response := e.ask(t, check(test.policy, request, nil))
			code := status.FromProto(response.GetStatus()).Code()
			if got := int(response.GetDeniedResponse().GetStatus().GetCode()); got != test.status || code != test.code {
				t.Errorf("got %d and %s, want %d and %s", got, code, test.status, test.code)
			}
		})
	}
	if got := e.ask(t, &authv3.CheckRequest{}).GetDeniedResponse().GetStatus().GetCode(); got != 404 {
		t.Errorf("nothing at all: %d", got)
	}
}

// Envoy can be told to send headers one by one, as bytes.
func TestEnvoysRawHeadersAreReadToo(t *testing.T) {
	r, s := begun(t)
	e := dial(t, r)
	one := &corev3.HeaderValue{Key: "authorization", RawValue: []byte("Bearer " + s.sign(nil))}
	for name, test := range map[string]struct {
		headers []*corev3.HeaderValue
		want    int
	}{
		"one": {[]*corev3.HeaderValue{one}, 0}, "two": {[]*corev3.HeaderValue{one, one}, 401}, "none": {nil, 401},
	} {
		request := check("shop/api", from("GET", "a", "/"), nil)
		request.GetAttributes().GetRequest().GetHttp().HeaderMap = &corev3.HeaderMap{Headers: test.headers}
		if got := int(e.ask(t, request).GetDeniedResponse().GetStatus().GetCode()); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}
