package verify

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Require is middleware for net/http: the handler that it wraps gets the requests with an acceptable token that has all of the
// scopes, and reads the token with [FromContext]. The token is taken from the Authorization header alone. All other
// requests are answered as RFC 6750 section 3 says: see [Refusal].
//
//	mux.Handle("GET /orders", verifier.Require("orders.read")(listOrders))
//
// It panics if a scope has a character that no scope can have (RFC 6749 section 3.3).
func (v *Verifier) Require(scopes ...string) func(http.Handler) http.Handler {
	for _, scope := range scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r == ' ' || notQuotable(r) }) {
			panic(fmt.Sprintf("verify: %q cannot be a scope", scope))
		}
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, refusal := v.Authenticate(r.Context(), r.Header.Values("Authorization"), scopes...)
			if refusal != nil {
				refusal.write(w)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), token)))
		})
	}
}

func (r *Refusal) write(w http.ResponseWriter) {
	if r.Challenge != "" {
		w.Header().Set("WWW-Authenticate", r.Challenge)
	}
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.RetryAfter/time.Second)))
	}
	http.Error(w, r.Description, r.Status)
}
