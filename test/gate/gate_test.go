package gate

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// policy lets those with the scope read below /public/.
func policy() v1alpha1.TokenPolicySpec {
	return v1alpha1.TokenPolicySpec{
		Scopes:  []v1alpha1.Scope{"orders:read"},
		Rules:   []v1alpha1.RequestRule{{Expression: `request.method == "GET" && request.path.startsWith("/public/")`}},
		Headers: []v1alpha1.ClaimHeader{{Name: "X-Subject", Claim: "sub"}, {Name: "X-Tenant", Claim: "tenant"}},
	}
}

func TestTheGateBehindProxies(t *testing.T) {
	w, s := begin(t, policy()), newService(t)
	for name, proxy := range proxies() {
		t.Run(name, func(t *testing.T) {
			p := &presented{t: t, w: w, s: s, address: proxy.start(t, w.at(t), s)}
			t.Run("whom it lets in", func(t *testing.T) { p.at(t).answers() })
			t.Run("copies of identity headers", func(t *testing.T) { p.at(t).copies() })
			t.Run("paths that have two readings", func(t *testing.T) { p.at(t).smuggles() })
			t.Run("the end of a token", func(t *testing.T) { p.at(t).expires() })
			t.Run("a revocation", func(t *testing.T) { p.at(t).isRevoked() })
		})
	}
}

// presented is a service behind a proxy.
type presented struct {
	t       *testing.T
	w       *cluster
	s       *service
	address string
}

func (p *presented) at(t *testing.T) *presented {
	t.Helper()
	return &presented{t: t, w: p.w, s: p.s, address: p.address}
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// ask returns the answer, and fails if there is none.
func (p *presented) ask(target string, headers ...string) answer {
	p.t.Helper()
	response, err := send(p.t.Context(), p.address, target, headers...)
	if err != nil {
		p.t.Fatal(err)
	}
	return response
}

func (p *presented) answers() {
	good := p.w.token(nil)
	p.s.took()
	for name, test := range map[string]struct {
		target    string
		headers   []string
		want      int
		challenge string
	}{
		"a good token":            {"/public/a?b", []string{bearer(good)}, 200, ""},
		"no token":                {"/public/a", nil, 401, `Bearer realm="api"`},
		"a token of nobody":       {"/public/a", []string{bearer("a.b.c")}, 401, `Bearer realm="api", error="invalid_token", error_description="the token is not a JSON Web Token in the form that is accepted"`},
		"a token in the query":    {"/public/a?access_token=" + good, nil, 401, `Bearer realm="api"`},
		"another audience":        {"/public/a", []string{bearer(p.w.token(map[string]any{"aud": "other"}))}, 401, `Bearer realm="api", error="invalid_token", error_description="the token is for another audience"`},
		"a scope that is missing": {"/public/a", []string{bearer(p.w.token(map[string]any{"scope": "x"}))}, 403, ""},
		"another path":            {"/admin", []string{bearer(good)}, 403, ""},
		"a claim with a header":   {"/public/a", []string{bearer(p.w.token(map[string]any{"sub": "a\r\nX-Tenant: acme"}))}, 403, ""},
		"a path by a header":      {"/admin", []string{bearer(good), "X-Forwarded-Uri: /public/a"}, 403, ""},
		"a path by two headers":   {"/admin", []string{bearer(good), "X-Forwarded-Uri: /public/a", "x-forwarded-uri: /public/a"}, 403, ""},
		"a method by a header":    {"/public/a", []string{bearer(good), "X-HTTP-Method-Override: DELETE"}, 403, ""},
	} {
		p.t.Run(name, func(t *testing.T) {
			response := p.at(t).ask(test.target, test.headers...)
			seen, _ := p.s.took()
			if response.status != test.want || (len(seen) > 0) != (test.want == 200) {
				t.Errorf("status %d, want %d; the service was asked %d times", response.status, test.want, len(seen))
			}
			if got := response.header.Get("WWW-Authenticate"); test.challenge != "" && got != test.challenge {
				t.Errorf("challenge %q, want %q", got, test.challenge)
			}
		})
	}
	p.t.Run("two tokens", func(t *testing.T) {
		response := p.at(t).ask("/public/a", bearer(good), bearer(good))
		if seen, _ := p.s.took(); response.status < 400 || len(seen) > 0 {
			t.Errorf("status %d; the service was asked %d times", response.status, len(seen))
		}
	})
}

// copies sends identity headers of one's own.
func (p *presented) copies() {
	p.s.took()
	response := p.ask("/public/a", bearer(p.w.token(nil)), "X-Subject: root", "X-SUBJECT: root", "X-Tenant: acme")
	seen, _ := p.s.took()
	if response.status != http.StatusOK || len(seen) != 1 {
		p.t.Fatalf("status %d; the service was asked %d times", response.status, len(seen))
	}
	tenant := seen[0]["X-Tenant"]
	if diff := cmp.Diff([]string{"alice"}, seen[0]["X-Subject"]); diff != "" || len(tenant) > 0 && tenant[0] != "" {
		p.t.Errorf("X-Tenant %q, X-Subject (-want +got):\n%s", tenant, diff)
	}
}

// smuggles asks for what the policy does not allow, in ways that a server somewhere reads so. A proxy may mend a path, as Traefik does,
// before it asks the gate: then the service is asked for what is allowed and has one reading.
func (p *presented) smuggles() {
	for _, target := range []string{
		"/public/../admin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/%2E%2E%2Fadmin", "/public%2f..%2fadmin", "/public/..%2fadmin",
		"/public//../admin", "//admin", "/public//admin", "/./admin", "/public/./../admin", "/public/..", "/public/.",
		`/public/..\admin`, `/public\..\admin`, "/public/..%5cadmin", "/public/..;/admin", "/public;/../admin", "/public/a;x=/../admin", "/public/%3b/admin",
		"/public/%252e%252e/admin", "/public/%25%32%65%25%32%65/admin", "/public/..%252fadmin", "/public/%00/../admin", "/public/a%00", "/public/%0d%0aX-Tenant:%20acme",
		"/public/..%c0%afadmin", "/public/%ff", "/public/%zz", "/public/%", "/public/#/../../admin", "/public/..#", "/admin#/public/", "/admin%3f/public/", "/admin%23/public/",
		"http://orders.example.com/admin", "http://orders.example.com/public/../admin", "orders.example.com/public/", "*",
	} {
		p.t.Run(target, func(t *testing.T) {
			p.s.took()
			response, err := send(t.Context(), p.address, target, bearer(p.w.token(nil)))
			_, targets := p.s.took()
			mended := slices.Equal(targets, []string{"/public/admin"}) && target != targets[0]
			if !mended && (len(targets) > 0 || err == nil && response.status < 400) {
				t.Errorf("let in: %+v, the service was asked for %q", response, targets)
			}
		})
	}
}

// expires presents a token that lives for two seconds until it is refused.
func (p *presented) expires() {
	end := now().Truncate(time.Second).Add(2 * time.Second)
	header := bearer(p.w.token(map[string]any{"exp": end.Unix()}))
	let := 0
	p.w.at(p.t).eventually("the token is refused", func() error {
		before := now()
		status := p.ask("/public/a", header).status
		after := now()
		switch {
		case status == 200 && !before.Before(end):
			p.t.Errorf("let in %s after its end", before.Sub(end))
		case status == 401 && after.Before(end):
			p.t.Errorf("refused %s before its end", end.Sub(after))
		case status == 200:
			let++
			return fmt.Errorf("it is let in")
		}
		return nil
	})
	if let == 0 {
		p.t.Error("never let in")
	}
}

// isRevoked takes a token back while it is presented.
func (p *presented) isRevoked() {
	id := newID()
	revoked, other := bearer(p.w.token(map[string]any{"jti": id})), bearer(p.w.token(nil))
	if got := p.ask("/public/a", revoked).status; got != 200 {
		p.t.Fatalf("before: status %d", got)
	}
	revocation := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.w.namespace, GenerateName: "lost-"},
		Spec:       v1alpha1.TokenRevocationSpec{SigningKeyName: "orders", TokenID: id},
	}
	p.w.must(p.w.c.Create(p.t.Context(), revocation))
	applied := now()
	p.w.at(p.t).eventually("the token is refused", func() error {
		if got := p.ask("/public/a", revoked).status; got != 401 {
			return fmt.Errorf("status %d", got)
		}
		return nil
	})
	p.t.Logf("refused %s after kubectl apply would have returned", now().Sub(applied).Round(time.Millisecond))
	if got := p.ask("/public/a", other).status; got != 200 {
		p.t.Errorf("another token: status %d", got)
	}
}

// at is the cluster for a test within another.
func (w *cluster) at(t *testing.T) *cluster {
	t.Helper()
	within := *w
	within.t = t
	return &within
}
