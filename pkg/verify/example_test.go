package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/keyturn/keyturn/pkg/verify"
)

// A service that has the ConfigMap <name>-jwks of a SigningKey mounted at /run/jwks.
func Example() {
	verifier, err := verify.New(verify.Options{
		Issuers: []verify.Issuer{{
			Name:      "https://orders.example.com",
			Audiences: []string{"https://api.example.com"},
			Keys:      verify.File{Path: "/run/jwks/jwks.json"},
		}},
	})
	if err != nil {
		slog.Error("start", "error", err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", verifier.Require("orders.read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := verify.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, "hello", caller.Subject)
	})))

	// Somebody comes without a token.
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/orders", nil)) //nolint:noctx // It is an example.
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="api"
}

// A service that knows the issuer by name alone, trusts the CA of the operator, remembers tokens, and logs what it refuses.
func ExampleNew() {
	const issuer = "https://keyturn.keyturn-system.svc/shop/orders"
	_, err := verify.New(verify.Options{
		Issuers: []verify.Issuer{{
			Name:       issuer,
			Audiences:  []string{"https://api.example.com"},
			Algorithms: []verify.Algorithm{verify.ES256},
			Types:      []string{verify.TypeAccessToken},
			Keys: verify.Discovery{Fetch: verify.Fetch{
				CAFile:        "/run/keyturn-ca/ca.crt",
				CacheDuration: time.Hour, // spec.rotation.verifierCacheDuration
			}},
		}},
		CacheSize: 10_000,
		Refused: func(ctx context.Context, err error) {
			slog.InfoContext(ctx, "request refused", "reason", err)
		},
	})
	fmt.Println(err)
	// Output: <nil>
}

// The issuer's URL is not that of its keys: they are fetched from a URL of their own.
func ExampleURL() {
	_, err := verify.New(verify.Options{Issuers: []verify.Issuer{{
		Name:      "https://orders.example.com",
		Audiences: []string{"https://api.example.com"},
		Keys:      verify.URL{URL: "https://keyturn.keyturn-system.svc/shop/orders/jwks.json"},
	}}})
	fmt.Println(err)
	// Output: <nil>
}

// A service that also has the ConfigMap <name>-revocations of the SigningKey mounted, at /run/revocations, refuses tokens that were
// revoked.
func ExampleDenyList() {
	_, err := verify.New(verify.Options{Issuers: []verify.Issuer{{
		Name:      "https://orders.example.com",
		Audiences: []string{"https://api.example.com"},
		Keys:      verify.File{Path: "/run/jwks/jwks.json"},
		DenyList:  verify.File{Path: "/run/revocations/revocations.json"},
	}}})
	fmt.Println(err)
	// Output: <nil>
}

// Errors are told apart by errors.Is.
func ExampleVerifier_Verify() {
	verifier, err := verify.New(verify.Options{Issuers: []verify.Issuer{{
		Name: "https://orders.example.com", Audiences: []string{"https://api.example.com"}, Keys: verify.File{Path: "/run/jwks/jwks.json"},
	}}})
	if err != nil {
		return
	}
	_, err = verifier.Verify(context.Background(), "2YotnFZFEjr1zCsicMWpAA")
	switch {
	case errors.Is(err, verify.ErrKeysUnavailable):
		fmt.Println("come again")
	case errors.Is(err, verify.ErrExpired):
		fmt.Println("get another token")
	case err != nil:
		fmt.Println(err)
	}
	// Output: verify token: the token is not a JSON Web Token in the form that is accepted: not the three parts of compact serialization
}

// A test of a handler needs no token: the context can be made.
func ExampleNewContext() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := verify.FromContext(r.Context())
		var claims struct {
			Team string `json:"team"`
		}
		if err := json.Unmarshal(caller.Claims, &claims); err != nil {
			http.Error(w, "no team", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintln(w, caller.Subject, "of", claims.Team)
	})
	request := httptest.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // It is an example.
	token := &verify.Token{Subject: "alice", Claims: json.RawMessage(`{"sub":"alice","team":"shipping"}`)}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request.WithContext(verify.NewContext(request.Context(), token)))
	fmt.Print(answer.Body)
	// Output: alice of shipping
}
