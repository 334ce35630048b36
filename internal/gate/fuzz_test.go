package gate

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// guarded is a replica whose policy lets GET in for one path, and hands on two claims.
func guarded(f *testing.F) (*replica, signer) {
	f.Helper()
	return begun(f, header("X-Subject", "sub"), header("X-Roles", "roles"),
		rule(`request.method == "GET" && request.host == "orders.example.com" && request.path.startsWith("/orders/")`, ""))
}

// FuzzRequests asks for anything with any token: both protocols give one answer, nobody is let in but with a token of ours to what every server
// takes for the path that the rule allows, and no answer or log shows a token. TOKEN stands for one with the claims.
func FuzzRequests(f *testing.F) {
	r, s := guarded(f)
	for _, target := range ambiguous() {
		f.Add("Bearer TOKEN", "GET", "orders.example.com", "/orders"+target, payload(nil))
	}
	for _, claim := range []claims{
		nil,
		{"sub": "alice\r\nX-Roles: admin"},
		{"roles": []any{"user", 1, true}},
		{"roles": []any{"user,admin"}},
		{"roles": claims{}},
		{"sub": "é"},
		{"sub": nil},
		{"exp": start().Unix()},
		{"nbf": 1.5e300},
		{"aud": []any{audience, ""}},
		{"iss": external},
		{"roles": strings.Repeat("a", 2049)},
	} {
		f.Add("Bearer TOKEN", "GET", "Orders.example.com.:8443", "/orders/7?x", payload(claim))
	}
	for _, authorization := range []string{"bearer  TOKEN", "Bearer TOKEN=", "Bearer TOKEN\r\nX-Subject: root", "Bearer TOKEN, Bearer TOKEN", "TOKEN", "Basic TOKEN", ""} {
		f.Add(authorization, "GET", "orders.example.com", "/orders/7", payload(nil))
	}
	f.Fuzz(func(t *testing.T, authorization, method, host, target, payload string) {
		r.t, r.lines = t, nil
		token := s.forge(s.header(""), payload)
		incoming := from(method, host, target)
		incoming.Authorization = []string{strings.ReplaceAll(authorization, "TOKEN", token)}
		response := r.present(incoming)
		if !slices.Contains([]int{http.StatusOK, http.StatusUnauthorized, http.StatusForbidden}, response.Code) {
			t.Errorf("answered %d: %s", response.Code, response.Body)
		}
		told, err := NewAuthorizer(r.gate).Check(r.logs(), check("shop/api", incoming, nil))
		if err != nil || statusOf(told) != response.Code {
			t.Errorf("HTTP answers %d, ext_authz %d, error %v", response.Code, statusOf(told), err)
		}
		if response.Code == http.StatusOK {
			mustBeLawful(t, incoming, response.Header(), payload)
			return
		}
		for name := range response.Header() {
			if strings.HasPrefix(name, "X-") && name != "X-Content-Type-Options" {
				t.Errorf("header %s is handed on with %d", name, response.Code)
			}
		}
		mustNotQuote(t, strings.Join(r.lines, "\n")+response.Body.String()+response.Header().Get("WWW-Authenticate"), token)
	})
}

// mustBeLawful says that a request could be let in, in the eyes of servers that read it otherwise.
func mustBeLawful(t *testing.T, incoming Incoming, handedOn http.Header, payload string) {
	t.Helper()
	host, _, _ := strings.Cut(incoming.Host[0], ":")
	path, _, _ := strings.Cut(incoming.URI[0], "?")
	if incoming.Method[0] != http.MethodGet || strings.ToLower(strings.TrimSuffix(host, ".")) != "orders.example.com" ||
		!strings.HasPrefix(path, "/orders/") || !strings.HasPrefix(likeOthers(path), "/orders") {
		t.Errorf("let in: %q", incoming)
	}
	var said struct {
		Sub   string  `json:"sub"`
		Exp   float64 `json:"exp"`
		Roles any     `json:"roles"`
	}
	if err := json.Unmarshal([]byte(payload), &said); err != nil || int64(said.Exp) <= start().Unix() || handedOn.Get("X-Subject") != said.Sub {
		t.Errorf("let in for %q: %s (%v)", handedOn.Get("X-Subject"), payload, err)
	}
	if roles := handedOn.Get("X-Roles"); !isFieldValue(roles) || (said.Roles == nil) != (roles == "") && said.Roles != "" {
		t.Errorf("roles %q of %v", roles, said.Roles)
	}
}

// statusOf is what the caller of Envoy gets.
func statusOf(response *authv3.CheckResponse) int {
	if response.GetOkResponse() != nil {
		return http.StatusOK
	}
	return int(response.GetDeniedResponse().GetStatus().GetCode())
}

// FuzzChecks sends any message to the ext_authz service: Envoy always gets an answer, one that can be sent, because it can be told to let
// in what it gets none for.
func FuzzChecks(f *testing.F) {
	r, s := guarded(f)
	codec := encoding.GetCodecV2(proto.Name)
	r.write(&v1alpha1.TokenPolicy{ObjectMeta: named("broken"), Spec: v1alpha1.TokenPolicySpec{Rules: []v1alpha1.RequestRule{{Expression: "1"}}}})
	good := from("GET", "orders.example.com", "/orders/7")
	good.Authorization = bearer(s.sign(nil))
	raw := check("shop/api", good, nil)
	raw.GetAttributes().GetRequest().GetHttp().HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: "Authorization", RawValue: []byte("Bearer \xff")}, {Key: "x-http-method", Value: "DELETE"},
	}}
	for _, request := range []*authv3.CheckRequest{
		check("shop/api", good, nil), check("shop/broken", good, nil), check("shop/x", good, nil), check("/", good, nil), raw, {},
	} {
		encoded, err := codec.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded.Materialize())
	}
	known := []int{http.StatusOK, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable}
	f.Fuzz(func(t *testing.T, message []byte) {
		request := &authv3.CheckRequest{}
		if err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, request); err != nil {
			t.Skip("gRPC refuses this")
		}
		r.t, r.lines = t, nil
		response, err := NewAuthorizer(r.gate).Check(r.logs(), request)
		if err != nil || !slices.Contains(known, statusOf(response)) {
			t.Fatalf("got %v, %v", response, err)
		}
		if _, err := codec.Marshal(response); err != nil {
			t.Errorf("the answer cannot be sent: %v", err)
		}
	})
}
