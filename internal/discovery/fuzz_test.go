package discovery

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/denylist"
)

// FuzzRequests asks for anything in any way: whoever gets something gets a document, or a part of it, whole and public, at no other paths
// than its own, and everybody else gets a refusal that says nothing of the request.
func FuzzRequests(f *testing.F) {
	r := begun(f)
	r.denied = denylist.Document{Content: []byte(`{"version":1}`), Tag: `"list"`}
	set, configuration := r.get(path).Body.String(), r.get(config).Body.String()
	documents := []string{set, configuration, string(r.denied.Content)}
	for _, seed := range [][4]string{
		{"GET", path, "Range", "bytes=0-1,2-3"},
		{"HEAD", config, "If-None-Match", "*"},
		{"GET", "/jwt" + path, "If-None-Match", `W/"a"`},
		{"POST", path, "", ""},
		{"OPTIONS", "*", "Access-Control-Request-Headers", "a"},
		{"GET", "/bank/main/revocations.json", "If-Match", `"x"`},
		{"GET", "/bank%2fmain/jwks.json", "", ""},
		{"GET", "/bank/main/../main/jwks.json", "", ""},
		{"GET", "/.well-known/openid-configuration/jwt/bank/main", "Range", "bytes=99999-"},
		{"GET", "/bank/other/jwks.json", "If-Modified-Since", "Thu, 01 Jan 2032 00:00:00 GMT"},
		{"GET", path + "/?x#y", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, target, name, value string) {
		at, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip("net/http answers this")
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		request.Method, request.URL = method, at
		request.Header[http.CanonicalHeaderKey(name)] = []string{value}
		response := httptest.NewRecorder()
		r.handler.ServeHTTP(response, request)
		body := response.Body.String()
		switch response.Code {
		case http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
			if !strings.HasSuffix(at.Path, ".json") && !strings.Contains(at.Path, ".well-known/") || !strings.Contains(at.Path, "/bank/main") {
				t.Errorf("%s gives something", at.Path)
			}
			if response.Code == http.StatusOK && method != http.MethodHead && !slices.Contains(documents, body) {
				t.Errorf("not a document: %s", body)
			}
		case http.StatusNoContent, http.StatusNotFound, http.StatusMethodNotAllowed:
			if body != "" && body != unknown && body != wrongWay || response.Header().Get("ETag") != "" {
				t.Errorf("refused with %q", body)
			}
		default:
			t.Errorf("answered %d: %s", response.Code, body)
		}
		if most := 256 * (len(value) + 8); response.Body.Len() > most+len(set)+len(configuration) {
			t.Errorf("%d bytes for a header of %d", response.Body.Len(), len(value))
		}
	})
}
