package tokenservice_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequests sends anything to an endpoint: there is always one answer, in JSON, and never a failure of the server's.
func FuzzRequests(f *testing.F) {
	for _, seed := range []struct{ endpoint, kind, authorization, body string }{
		{"token", "application/x-www-form-urlencoded", "", "grant_type=client_credentials&client_id=" + clientID + "&client_secret=" + secret},
		{"token", "application/x-www-form-urlencoded", "Basic c2hvcC5jYXJ0Ong=", "grant_type=refresh_token&refresh_token=ktr_A"},
		{"token", "application/x-www-form-urlencoded", "", "grant_type=" + exchange + "&client_id=shop.pods&subject_token=a.b.c&subject_token_type=x"},
		{"introspect", "application/x-www-form-urlencoded", "Basic %", "token=%zz"},
		{"revoke", "text/plain", "", "token=x"},
	} {
		f.Add(seed.endpoint, seed.kind, seed.authorization, seed.body)
	}
	f.Fuzz(func(t *testing.T, endpoint, kind, authorization, body string) {
		switch endpoint {
		case "token", "introspect", "revoke":
		default:
			t.Skip("no endpoint")
		}
		s := begin(t, append(cart(), pods())...)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/bank/main/"+endpoint, strings.NewReader(body))
		r.Header["Content-Type"], r.Header["Authorization"] = []string{kind}, []string{authorization}
		got := s.do(r)
		if got.status >= http.StatusInternalServerError {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if len(got.body) > 0 && !json.Valid([]byte(got.body)) {
			t.Errorf("the answer is no JSON: %s", got.body)
		}
	})
}
