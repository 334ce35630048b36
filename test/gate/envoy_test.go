package gate

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Envoy itself cannot be built here: this is its published protobuf API, as it calls it.
func TestTheGateByExtAuthz(t *testing.T) {
	w := begin(t, policy())
	client := w.dial()
	for name, test := range map[string]struct {
		token, path string
		want        int
	}{
		"a good token":     {w.token(nil), "/public/a?b", 0},
		"no token":         {"", "/public/a", 401},
		"another audience": {w.token(map[string]any{"aud": "other"}), "/public/a", 401},
		"another path":     {w.token(nil), "/public/../admin", 403},
	} {
		t.Run(name, func(t *testing.T) {
			headers := map[string]string{"x-subject": "root", "x-tenant": "acme"}
			if test.token != "" {
				headers["authorization"] = "Bearer " + test.token
			}
			response, err := client.Check(t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
				ContextExtensions: map[string]string{"policy": w.namespace + "/api"},
				Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
					Method: "GET", Host: "orders.example.com", Path: test.path, Headers: headers,
				}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if got := int(response.GetDeniedResponse().GetStatus().GetCode()); got != test.want {
				t.Errorf("got %d, want %d: %v", got, test.want, response)
			}
			ok := response.GetOkResponse()
			if test.want == 0 && (len(ok.GetHeaders()) != 1 || ok.GetHeaders()[0].GetHeader().GetValue() != "alice" || len(ok.GetHeadersToRemove()) != 1) {
				t.Errorf("got %v", ok)
			}
		})
	}
}

func (w *cluster) dial() authv3.AuthorizationClient {
	w.t.Helper()
	ca, err := os.ReadFile(w.caFile)
	w.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	connection, err := grpc.NewClient(w.extAuthz, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: roots, ServerName: "keyturn.keyturn-system.svc", MinVersion: tls.VersionTLS12,
	})))
	w.must(err)
	w.t.Cleanup(func() { w.must(connection.Close()) })
	return authv3.NewAuthorizationClient(connection)
}
