package tokenservice_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/events"
)

// once counts answers.
type once struct {
	*httptest.ResponseRecorder
	answers int
}

func (o *once) WriteHeader(status int) {
	o.answers++
	o.ResponseRecorder.WriteHeader(status)
}

// FuzzRequests sends anything to anywhere: there is always one answer, in JSON, and never a failure of the server's.
func FuzzRequests(f *testing.F) {
	const urlencoded = "application/x-www-form-urlencoded"
	endpoint := "/bank/main/token"
	for _, seed := range []struct{ method, path, kind, encoding, authorization, body string }{
		{"POST", endpoint, urlencoded, "", "", "grant_type=client_credentials&client_id=" + clientID + "&client_secret=" + secret},
		{"POST", endpoint, urlencoded, "", "", "grant_type=client_credentials&audience.9999999=x&scope.0.0=x&client_id=" + clientID + "&client_secret=" + secret},
		{"POST", endpoint, urlencoded, "", basic(clientID + ":x"), "grant_type=refresh_token&refresh_token=ktr_A"},
		{"POST", endpoint, urlencoded, "", basic(clientID + ":" + secret), "grant_type=refresh_token&refresh_token=ktr_" + strings.Repeat("A", 64)},
		{"POST", endpoint, urlencoded, "", "", "grant_type=" + exchange + "&client_id=shop.pods&subject_token=a.b.c&subject_token_type=x"},
		{"POST", endpoint, urlencoded + ";charset=x", "", basic(clientID + ":" + secret), "grant_type=" + exchange + "&subject_token=e30.e30.AA&subject_token_type=urn:ietf:params:oauth:token-type:jwt"},
		{"POST", "/bank/main/introspect", urlencoded, "", "Basic %", "token=%zz"},
		{"POST", "/bank/main/introspect", urlencoded, "", basic(clientID + ":" + secret), "token=e30.e30.AA&token_type_hint=x"},
		{"POST", "/bank/main/revoke", "text/plain", "gzip", "", "token=x"},
		{"POST", "/bank/main/revoke", urlencoded, "", basic(clientID + ":" + secret), "token=ktr_x"},
		{"GET", "/bank%2fmain/token?x", "", "", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.kind, seed.encoding, seed.authorization, seed.body)
	}
	s := begin(f, append(cart(), pods())...)
	s.options.Log, s.options.Recorder = logr.Discard(), &events.FakeRecorder{}
	s.serve()
	f.Fuzz(func(t *testing.T, method, path, kind, encoding, authorization, body string) {
		at, err := url.ParseRequestURI(path)
		if err != nil {
			t.Skip("net/http answers this")
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Method, r.URL = method, at
		r.Header["Content-Type"], r.Header["Content-Encoding"], r.Header["Authorization"] = []string{kind}, []string{encoding}, []string{authorization}
		got := &once{ResponseRecorder: httptest.NewRecorder()}
		s.handler.ServeHTTP(got, r)
		if got.Code >= http.StatusInternalServerError || got.answers != 1 {
			t.Errorf("got %d in %d answers: %s", got.Code, got.answers, got.Body)
		}
		if isJSON := got.Header().Get("Content-Type") == "application/json"; isJSON && got.Body.Len() > 0 && !json.Valid(got.Body.Bytes()) {
			t.Errorf("the answer is no JSON: %s", got.Body)
		}
	})
}
