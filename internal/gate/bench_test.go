package gate

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// BenchmarkHandler judges a request whose token is remembered: what the gate costs beside the server that it is behind.
func BenchmarkHandler(b *testing.B) {
	for name, change := range map[string][]func(*v1alpha1.TokenPolicySpec){
		"audience and scope": {scope("orders:read")},
		"a rule and headers": {
			scope("orders:read"), rule(`request.method == "GET" || "orders:write" in claims.scope.split(" ")`, "read only"),
			header("X-User", "sub"), header("X-Scope", "scope"),
		},
	} {
		b.Run(name, func(b *testing.B) {
			r, s := begun(b, change...)
			r.gate.clock = clock.RealClock{}
			request := httptest.NewRequestWithContext(r.logs(), http.MethodGet, "https://keyturn/verify/shop/api", http.NoBody)
			request.Header.Set("Authorization", "Bearer "+s.sign(nil))
			request.Header.Set("X-Forwarded-Method", http.MethodGet)
			request.Header.Set("X-Forwarded-Host", "orders.example.com")
			request.Header.Set("X-Forwarded-Uri", "/orders?limit=10")
			b.ReportAllocs()
			for b.Loop() {
				w := answer{header: http.Header{}}
				if r.handler.ServeHTTP(&w, request); w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// answer costs nothing.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header            { return a.header }
func (a *answer) Write(part []byte) (int, error) { return len(part), nil }
func (a *answer) WriteHeader(status int)         { a.status = status }
