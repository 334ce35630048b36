package discovery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

func TestEachPathGivesItsDocument(t *testing.T) {
	r := begun(t)
	set, err := r.ring.Public().JSON()
	r.must(err)
	for given, isSet := range map[string]bool{
		"/bank/main/jwks.json":                                  true,
		"/jwt/bank/main/jwks.json":                              true,
		"/bank/main/jwks.json?cache=no":                         true,
		"/bank/main/.well-known/openid-configuration":           false,
		"/bank/main/.well-known/oauth-authorization-server":     false,
		"/jwt/bank/main/.well-known/openid-configuration":       false,
		"/jwt/bank/main/.well-known/oauth-authorization-server": false,
		"/.well-known/oauth-authorization-server/bank/main":     false,
		"/.well-known/oauth-authorization-server/jwt/bank/main": false,
		"/.well-known/openid-configuration/bank/main":           false,
		"/.well-known/openid-configuration/jwt/bank/main":       false,
	} {
		t.Run(given, func(t *testing.T) {
			response := r.get(given)
			if response.Code != http.StatusOK {
				t.Fatalf("status %d: %s", response.Code, response.Body)
			}
			if isSet {
				if diff := cmp.Diff(string(set), response.Body.String()); diff != "" {
					t.Errorf("JWKS (-want +got):\n%s", diff)
				}
				return
			}
			want := map[string]any{
				"issuer": external + "/bank/main", "jwks_uri": external + "/bank/main/jwks.json",
				"response_types_supported": []any{"id_token"}, "subject_types_supported": []any{"public"},
				"id_token_signing_alg_values_supported": []any{"ES256"},
			}
			methods := []any{"client_secret_basic", "client_secret_post", "private_key_jwt"}
			for name, path := range map[string]string{"token": "token", "introspection": "introspect", "revocation": "revoke"} {
				want[name+"_endpoint"] = external + "/bank/main/" + path
				want[name+"_endpoint_auth_methods_supported"] = methods
				want[name+"_endpoint_auth_signing_alg_values_supported"] = []any{
					"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
				}
			}
			// Without a token store there is no refresh_token.
			want["grant_types_supported"] = []any{"client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"}
			if diff := cmp.Diff(want, configurationOf(t, response)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANamespaceNamedLikeThePrefixIsServedToo(t *testing.T) {
	for given, want := range map[string]string{
		"/jwt/main/jwks.json":                             "jwt",
		"/jwt/jwt/main/jwks.json":                         "jwt",
		"/.well-known/openid-configuration/jwt/main":      "jwt",
		"/.well-known/openid-configuration/jwt/jwt/main":  "jwt",
		"/jwtx/main/jwks.json":                            "jwtx",
		"/.well-known/openid-configuration/jwtx/main":     "jwtx",
		"/jwt/jwtx/main/.well-known/openid-configuration": "jwtx",
	} {
		if name, _, ok := parsePath(given, "/jwt"); !ok || name.Namespace != want || name.Name != "main" {
			t.Errorf("%s names %s (%t), want main in %s", given, name, ok, want)
		}
	}
}

func TestWhateverElseIsAskedForIsAnsweredAlike(t *testing.T) {
	r := begun(t)
	want := r.get("/bank/other/jwks.json")
	if want.Code != http.StatusNotFound || !strings.Contains(want.Body.String(), "/<namespace>/<name>/jwks.json") {
		t.Fatalf("status %d: %s", want.Code, want.Body)
	}
	for _, given := range []string{
		"/", "//", "/bank", "/bank/main", "/bank/main/", "/bank/main/jwks", "/bank/main/jwks.json/", "/bank/main/JWKS.JSON", "//bank/main/jwks.json",
		"/bank/main/.well-known", "/bank/main/.well-known/jwks.json", "/bank/main/.well-known/openid-configuration/",
		"/main/bank/jwks.json", "/nowhere/main/jwks.json", "/bank/main/x/jwks.json", "/other/bank/main/jwks.json",
		"/.well-known/openid-configuration", "/.well-known/openid-configuration/bank", "/.well-known/openid-configuration/bank/main/x",
		"/.well-known/jwks.json/bank/main", "/bank/main/jwks.json/../jwks.json", "/%2e%2e/main/jwks.json",
		strings.Repeat("/x", 4000),
	} {
		response := r.get(given)
		if response.Code != want.Code || response.Body.String() != want.Body.String() || !cmp.Equal(response.Header(), want.Header()) {
			t.Errorf("%s gives %d %v %s", given, response.Code, response.Header(), response.Body)
		}
	}
}

func TestHeadersOfAnAnswer(t *testing.T) {
	r := begun(t)
	want := http.Header{
		"Access-Control-Allow-Origin": {"*"}, "Access-Control-Expose-Headers": {"ETag"}, "X-Content-Type-Options": {"nosniff"},
		"Accept-Ranges": {"bytes"}, "Content-Type": {"application/jwk-set+json"},
		"Cache-Control": {"public, max-age=3600, s-maxage=120"},
	}
	got := r.get(path).Header()
	tag := got.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) || len(tag) < 20 {
		t.Errorf("ETag is %s", tag)
	}
	got.Del("ETag")
	got.Del("Content-Length")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if got := r.get(config).Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("a configuration is of type %s", got)
	}
}

func TestMethods(t *testing.T) {
	r := begun(t)
	tag := r.get(path).Header().Get("ETag")
	for sentence, c := range map[string]struct {
		method  string
		headers []string
		status  int
		body    bool
	}{
		"GET gives the set":                              {method: http.MethodGet, status: http.StatusOK, body: true},
		"HEAD gives the headers alone":                   {method: http.MethodHead, status: http.StatusOK},
		"GET of what the verifier has is short":          {method: http.MethodGet, headers: []string{"If-None-Match", tag}, status: http.StatusNotModified},
		"also if it has several":                         {method: http.MethodGet, headers: []string{"If-None-Match", `"x", ` + tag}, status: http.StatusNotModified},
		"also if a proxy has weakened the tag":           {method: http.MethodGet, headers: []string{"If-None-Match", "W/" + tag}, status: http.StatusNotModified},
		"GET of what it does not have":                   {method: http.MethodGet, headers: []string{"If-None-Match", `"x"`}, status: http.StatusOK, body: true},
		"OPTIONS answers a browser that asks beforehand": {method: http.MethodOptions, status: http.StatusNoContent},
		"POST is refused":                                {method: http.MethodPost, status: http.StatusMethodNotAllowed, body: true},
		"DELETE is refused":                              {method: http.MethodDelete, status: http.StatusMethodNotAllowed, body: true},
		"TRACE is refused":                               {method: http.MethodTrace, status: http.StatusMethodNotAllowed, body: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			response := r.do(c.method, path, c.headers...)
			if response.Code != c.status || (response.Body.Len() > 0) != c.body {
				t.Errorf("status %d with %d bytes, want %d", response.Code, response.Body.Len(), c.status)
			}
			if response.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Error("pages of other origins cannot read the answer")
			}
			allow := response.Header().Get("Allow")
			if wants := c.status == http.StatusMethodNotAllowed || c.status == http.StatusNoContent; wants != (allow == "GET, HEAD, OPTIONS") {
				t.Errorf("Allow is %q", allow)
			}
			if c.status == http.StatusNotModified && (response.Header().Get("ETag") != tag || response.Header().Get("Cache-Control") == "") {
				t.Errorf("an answer without a set does not renew the one that the verifier has: %v", response.Header())
			}
		})
	}
}

func TestLifetimesFollowTheViewAndThePlan(t *testing.T) {
	durations := func(period, cache, propagation time.Duration) func(*v1alpha1.SigningKey) {
		return func(k *v1alpha1.SigningKey) {
			k.Spec.Rotation = v1alpha1.RotationSpec{
				Period:                &metav1.Duration{Duration: period},
				VerifierCacheDuration: &metav1.Duration{Duration: cache}, PropagationDelay: &metav1.Duration{Duration: propagation},
			}
		}
	}
	for sentence, c := range map[string]struct {
		durations func(*v1alpha1.SigningKey)
		age       time.Duration
		want      string
	}{
		"a settled key":                            {durations(720*time.Hour, time.Hour, 2*time.Minute), 0, "public, max-age=3600, s-maxage=120"},
		"a view that is a minute old":              {durations(720*time.Hour, time.Hour, 2*time.Minute), time.Minute, "public, max-age=3540, s-maxage=60"},
		"a view that is too old":                   {durations(720*time.Hour, time.Hour, 2*time.Minute), 3 * time.Minute, "public, max-age=10, s-maxage=0"},
		"a view older than verifiers keep a set":   {durations(720*time.Hour, time.Hour, 2*time.Minute), 2 * time.Hour, "no-cache"},
		"verifiers that keep nothing":              {durations(720*time.Hour, 0, 2*time.Minute), 0, "no-cache"},
		"the next key is 20 minutes ahead":         {durations(time.Hour+23*time.Minute, time.Hour, 2*time.Minute), 0, "public, max-age=1560, s-maxage=120"},
		"copies that take no time leave no room":   {durations(720*time.Hour, time.Hour, 0), 0, "public, max-age=3600, s-maxage=0"},
		"a clock that was set back makes none old": {durations(720*time.Hour, time.Hour, 2*time.Minute), -time.Hour, "public, max-age=3600, s-maxage=120"},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := begun(t, c.durations)
			r.view.age = c.age
			if got := r.get(path).Header().Get("Cache-Control"); got != c.want {
				t.Errorf("Cache-Control is %q, want %q", got, c.want)
			}
		})
	}
}

func TestNothingIsSaidBeforeTheSigningKeysAreKnown(t *testing.T) {
	r := begun(t)
	r.directory.filled = append(r.directory.filled, func() bool { return false })
	response := r.get(path)
	if response.Code != http.StatusServiceUnavailable || response.Header().Get("Retry-After") == "" || response.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, headers %v", response.Code, response.Header())
	}
}
