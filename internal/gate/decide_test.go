package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// told is what a proxy hands on to the caller, or to the service.
type told struct {
	status                       int
	challenge, retry, body, head string
}

func (r *replica) told(token string, headers ...string) told {
	response := r.ask(token, headers...)
	return told{
		response.Code, response.Header().Get("WWW-Authenticate"), response.Header().Get("Retry-After"),
		strings.TrimSuffix(response.Body.String(), "\n"), strings.Join(response.Header().Values("X-Subject"), "|"),
	}
}

func TestAnswers(t *testing.T) {
	r, s := begun(t, scope("orders:read"), header("X-Subject", "sub"))
	challenge := func(code, description, more string) string {
		return fmt.Sprintf(`Bearer realm="api", error="%s", error_description="%s"%s`, code, description, more)
	}
	for name, test := range map[string]struct {
		token   string
		headers []string
		want    told
	}{
		"a good token": {token: s.sign(nil), want: told{status: 200, head: "alice"}},
		"no token":     {want: told{status: 401, challenge: `Bearer realm="api"`, body: "the request has no Bearer token"}},
		"another scheme": {
			headers: []string{"Authorization", "Basic YTpi"},
			want:    told{status: 401, challenge: `Bearer realm="api"`, body: "the request has no Bearer token"},
		},
		"a scheme in small letters": {headers: []string{"Authorization", "bearer " + s.sign(nil)}, want: told{status: 200, head: "alice"}},
		"two words": {
			headers: []string{"Authorization", "Bearer a b"}, want: told{
				status: 401, body: "the request does not have one Authorization header with the word Bearer and one token",
				challenge: challenge("invalid_request", "the request does not have one Authorization header with the word Bearer and one token", ""),
			},
		},
		"an expired token": {token: s.sign(claims{"exp": start().Unix()}), want: told{
			status: 401, challenge: challenge("invalid_token", "the token has expired", ""), body: "the token has expired",
		}},
		"a token for somebody else": {token: s.sign(claims{"aud": "https://other.example.com"}), want: told{
			status: 401, challenge: challenge("invalid_token", "the token is for another audience", ""), body: "the token is for another audience",
		}},
		"a token without the scope": {token: s.sign(claims{"scope": "orders:write"}), want: told{
			status: 403, challenge: challenge("insufficient_scope", "the token lacks a scope that is required", `, scope="orders:read"`),
			body: "the token lacks a scope that is required",
		}},
		"a claim that no header can hold": {token: s.sign(claims{"sub": "a\r\nX-Admin: yes"}), want: told{
			status: 403, challenge: challenge("insufficient_scope", "the token has a claim that cannot be handed on", ""),
			body: "the token has a claim that cannot be handed on",
		}},
		"no such claim": {token: s.sign(claims{"sub": nil}), want: told{status: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, r.told(test.token, test.headers...), cmp.AllowUnexported(told{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A header that is not in the answer would let a copy of the caller's through.
func TestEveryHeaderOfThePolicyIsInEveryAnswer(t *testing.T) {
	r, s := begun(t, header("X-Subject", "sub"), header("X-Roles", "roles"), header("X-Tenant", "tenant"))
	response := r.ask(s.sign(claims{"roles": []any{"a", "b"}}), "X-Tenant", "acme")
	got := http.Header{}
	for _, name := range []string{"X-Subject", "X-Roles", "X-Tenant"} {
		got[name] = response.Header()[name]
	}
	want := http.Header{"X-Subject": {"alice"}, "X-Roles": {"a,b"}, "X-Tenant": {""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatHeadersCanHold(t *testing.T) {
	long := strings.Repeat("a", maxHeaderValue)
	for name, test := range map[string]struct {
		claim any
		want  string // "-" for a refusal
	}{
		"a text":                     {"alice", "alice"},
		"a text with spaces":         {`a "b", c\d`, `a "b", c\d`},
		"no text":                    {"", ""},
		"a number":                   {7, "7"},
		"a fraction":                 {1.5, "1.5"},
		"a boolean":                  {true, "true"},
		"a list":                     {[]any{"a", 1, false}, "a,1,false"},
		"no list":                    {[]any{}, ""},
		"a long text":                {long, long},
		"a longer text":              {long + "a", "-"},
		"a longer list":              {[]any{long, "a"}, "-"},
		"null":                       {rawNull{}, "-"},
		"an object":                  {claims{"a": 1}, "-"},
		"a list of lists":            {[]any{[]any{"a"}}, "-"},
		"a list with null":           {[]any{"a", nil}, "-"},
		"a member with a comma":      {[]any{"user,admin"}, "-"},
		"a member of nothing":        {[]any{"a", ""}, "-"},
		"a member with space around": {[]any{"a", " b"}, "-"},
		"a line feed":                {"a\nX-Admin: yes", "-"},
		"a carriage return":          {"a\rX-Admin: yes", "-"},
		"both":                       {"a\r\n\r\nGET / HTTP/1.1", "-"},
		"a line break in a list":     {[]any{"a", "b\r\nX-Admin: yes"}, "-"},
		"a null byte":                {"a\x00", "-"},
		"a tab":                      {"a\tb", "-"},
		"a delete":                   {"a\x7f", "-"},
		"letters beyond ASCII":       {"zoë", "-"},
		"a line separator":           {"a\u2028b", "-"},
		"a line break of Latin 1":    {"a\u0085b", "-"},
		"what becomes one in bytes":  {"a\u560d\u560aX-Admin: yes", "-"},
		"space at an end":            {"alice ", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := begun(t, header("X-Claim", "c"))
			response := r.ask(s.sign(claims{"c": test.claim}))
			got := "-"
			if response.Code == http.StatusOK {
				got = response.Header().Get("X-Claim")
			}
			if got != test.want || response.Code != http.StatusOK && response.Code != http.StatusForbidden {
				t.Errorf("status %d, got %q, want %q", response.Code, got, test.want)
			}
		})
	}
}

// rawNull is a claim that is there, and null.
type rawNull struct{}

func (rawNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestTokensAreJudgedByTheSecond(t *testing.T) {
	r, s := begun(t)
	r2, s2 := begun(t, func(p *v1alpha1.TokenPolicySpec) { p.ClockSkew = duration(30 * time.Second) })
	for name, test := range map[string]struct {
		at   time.Duration
		want int // and with a skew of 30s
		skew int
	}{
		"half a minute before nbf": {-30 * time.Second, 401, 200},
		"a second before nbf":      {-time.Second, 401, 200},
		"at nbf":                   {0, 200, 200},
		"a second before exp":      {time.Hour - time.Second, 200, 200},
		"at exp":                   {time.Hour, 401, 200},
		"a second later":           {time.Hour + time.Second, 401, 200},
		"half a minute later":      {time.Hour + 30*time.Second, 401, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r.clock.SetTime(start().Add(test.at))
			r2.clock.SetTime(start().Add(test.at))
			if got, skewed := r.status(s.sign(nil)), r2.status(s2.sign(nil)); got != test.want || skewed != test.skew {
				t.Errorf("got %d and %d, want %d and %d", got, skewed, test.want, test.skew)
			}
		})
	}
}

func TestARequestThatIsUnclearIsRefusedWhereARuleJudgesIt(t *testing.T) {
	r, s := begun(t)
	with, s2 := begun(t, rule("request.path != '/admin'", ""))
	for name, target := range ambiguous() {
		t.Run(name, func(t *testing.T) {
			if got := with.status(s2.sign(nil), "X-Forwarded-Uri", target); got != http.StatusForbidden {
				t.Errorf("%q is answered by %d", target, got)
			}
			if got := with.status("", "X-Forwarded-Uri", target); got != http.StatusUnauthorized {
				t.Errorf("without a token %q is answered by %d", target, got)
			}
			if got := r.status(s.sign(nil), "X-Forwarded-Uri", target); got != http.StatusOK {
				t.Errorf("without a rule %q is answered by %d", target, got)
			}
		})
	}
	for _, name := range []string{"X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri"} {
		if got := with.told(s2.sign(nil), "-"+name, ""); got.status != http.StatusForbidden || !strings.Contains(got.body, name) {
			t.Errorf("without %s: %+v", name, got)
		}
	}
}

func TestReplicasSayWhenTheyDoNotKnow(t *testing.T) {
	starting, _ := begun(t)
	starting.directory.filled = append(starting.directory.filled, func() bool { return false })
	keyless, s := begun(t)
	keyless.publish("orders")
	old, s2 := begun(t)
	old.view.age = time.Hour + time.Second
	for name, test := range map[string]struct {
		got  told
		want told
	}{
		"while it starts":       {starting.told(s.sign(nil)), told{status: 503, retry: "1", body: "the policies are being read"}},
		"while no key is there": {keyless.told(s.sign(nil)), told{status: 503, retry: "1", body: "the keys that verify the token are not at hand"}},
		"after an hour without the API server": {
			old.told(s2.sign(nil)), told{status: 503, retry: "10", body: "what is known of the cluster is too old"},
		},
	} {
		if diff := cmp.Diff(test.want, test.got, cmp.AllowUnexported(told{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Nobody can revoke while the API server is away, and tokens that are out must verify.
func TestTheGateGoesOnWithoutTheAPIServerForAsLongAsVerifiersMay(t *testing.T) {
	r, s := begun(t)
	key := r.key("orders", s)
	for _, cache := range []time.Duration{0, 20 * time.Minute} {
		key.Spec.Rotation.VerifierCacheDuration = duration(cache)
		r.write(key)
		patience := max(cache, 2*time.Minute)
		r.view.age = patience
		if got := r.status(s.sign(nil)); got != http.StatusOK {
			t.Errorf("verifierCacheDuration %s, after %s: %d", cache, r.view.age, got)
		}
		r.view.age = patience + time.Second
		if got := r.status(s.sign(nil)); got != http.StatusServiceUnavailable {
			t.Errorf("verifierCacheDuration %s, after %s: %d", cache, r.view.age, got)
		}
	}
}

func TestAnOldViewDoesNotSayOfAKeyThatThereIsNone(t *testing.T) {
	r, _ := begun(t)
	fresh := newSigner(t)
	if got := r.status(fresh.sign(nil)); got != http.StatusUnauthorized {
		t.Errorf("a key that was never published: %d", got)
	}
	r.view.age = r.view.limit + time.Second
	if got := r.status(fresh.sign(nil)); got != http.StatusServiceUnavailable {
		t.Errorf("a key that may be newer than the view: %d", got)
	}
}

func TestPathsOfPolicies(t *testing.T) {
	r, s := begun(t)
	for path, want := range map[string]int{
		"/verify/shop/api":               200,
		"/jwt/verify/shop/api":           200,
		"/verify/shop/other":             404,
		"/verify/other/api":              404,
		"/verify/shop/token":             404,
		"/verify/shop/api/":              418,
		"/verify/shop/api/x":             418,
		"/verify/shop":                   418,
		"/verify//api":                   418,
		"/verify/shop/":                  418,
		"/verify/shop/jwks.json":         418,
		"/verify/shop/revocations.json":  418,
		"/verify/shop/.well-known/x":     418,
		"/shop/verify/jwks.json":         418,
		"/other/verify/shop/api":         418,
		"/jwt/jwt/verify/shop/api":       418,
		"/shop/api":                      418,
		"/":                              418,
		"/.well-known/x/verify/shop/api": 418,
	} {
		t.Run(path, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"} {
				if got := r.send(method, path, s.sign(nil)); got != want {
					t.Errorf("%s: got %d, want %d", method, got, want)
				}
			}
		})
	}
}

func TestRevokedTokensAreRefusedAlsoWhereTheyAreRemembered(t *testing.T) {
	r, s := begun(t)
	careless, s2 := begun(t, func(p *v1alpha1.TokenPolicySpec) { p.DenyList = v1alpha1.DenyListDisabled })
	for _, step := range []struct {
		when       string
		revoked    []string
		unknowable error
		want       int
	}{
		{"before", nil, nil, 200},
		{"while another one is", []string{"two"}, nil, 200},
		{"while it is", []string{"one"}, nil, 401},
		{"while nobody can know", nil, errors.New("starting"), 503},
		{"afterwards", nil, nil, 200},
	} {
		r.revoked, r.unknowable = step.revoked, step.unknowable
		careless.revoked, careless.unknowable = step.revoked, step.unknowable
		if got := r.status(s.sign(nil)); got != step.want {
			t.Errorf("%s: got %d, want %d", step.when, got, step.want)
		}
		if got := careless.status(s2.sign(nil)); got != 200 {
			t.Errorf("%s, without deny list: got %d", step.when, got)
		}
	}
}

func TestRulesDecide(t *testing.T) {
	r, s := begun(t, rule(`request.method == "GET" || "admin" in claims.roles`, "only admins write"),
		rule(`request.host == "orders.example.com" && request.path.startsWith("/orders/")`, ""))
	for name, test := range map[string]struct {
		claims  claims
		headers []string
		want    string // what is told to whoever is refused
	}{
		"all are true":         {headers: []string{"X-Forwarded-Uri", "/orders/7"}},
		"with an encoded path": {headers: []string{"X-Forwarded-Uri", "/orders/a%20b?q"}},
		"in capitals":          {headers: []string{"X-Forwarded-Host", "ORDERS.example.com:443", "X-Forwarded-Uri", "/orders/7"}},
		"an admin": {
			claims: claims{"roles": []string{"admin"}}, headers: []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/orders/7"},
		},
		"no admin": {
			claims: claims{"roles": []string{"user"}}, headers: []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/orders/7"},
			want: "only admins write",
		},
		"a claim that is missing": {headers: []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/orders/7"}, want: "only admins write"},
		"another path":            {headers: []string{"X-Forwarded-Uri", "/admin"}, want: "a rule of the policy refuses the request"},
		"another host":            {headers: []string{"X-Forwarded-Host", "evil.example.com", "X-Forwarded-Uri", "/orders/7"}, want: "a rule of the policy refuses the request"},
		"a method by a header": {
			headers: []string{"X-Forwarded-Uri", "/orders/7", "X-HTTP-Method-Override", "DELETE"}, want: "a header asks for another method than the request has",
		},
		"a number that CEL has not": {
			claims: claims{"n": json.RawMessage("1e999")}, headers: []string{"X-Forwarded-Uri", "/orders/7"},
			want: "the token has claims that a rule of the policy cannot be evaluated on",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.told(s.sign(test.claims), test.headers...)
			want := told{status: 200}
			if test.want != "" {
				want = told{status: 403, body: test.want, challenge: fmt.Sprintf(
					`Bearer realm="api", error="insufficient_scope", error_description="%s"`, test.want)}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(told{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
