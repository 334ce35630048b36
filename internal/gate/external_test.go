package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/pkg/verify"
)

// elsewhere is an issuer elsewhere, with a server of its own.
type elsewhere struct {
	*httptest.Server
	signer signer

	mu    sync.Mutex
	set   []byte
	away  bool
	asked map[string]int
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{signer: newSigner(t), asked: map[string]int{}}
	e.set = jwks(t, e.signer)
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(e.answer))
	e.Config.ErrorLog = nil
	e.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) answer(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked[r.URL.Path]++
	switch {
	case e.away:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		_, _ = fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, e.URL, e.URL+"/keys")
	default:
		_, _ = w.Write(e.set)
	}
}

func (e *elsewhere) change(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// accepted is a policy for its tokens alone.
func (e *elsewhere) accepted(p *v1alpha1.TokenPolicySpec) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw})
	p.Issuers = []v1alpha1.PolicyIssuer{{External: &v1alpha1.ExternalIssuer{Issuer: e.URL, CABundle: string(ca)}}}
}

func (e *elsewhere) sign() string {
	return e.signer.sign(claims{"iss": e.URL, "exp": start().Add(48 * time.Hour).Unix()})
}

func (r *replica) mustBe(when, token string, want int) {
	r.t.Helper()
	if got := r.status(token); got != want {
		r.t.Errorf("%s: got %d, want %d", when, got, want)
	}
}

func TestKeysOfIssuersElsewhereAreFetchedAndServedThroughAnOutage(t *testing.T) {
	e := newElsewhere(t)
	r, ours := begun(t, e.accepted)
	mustAssess(t, r, "", "")
	r.mustBe("their token", e.sign(), 200)
	r.mustBe("our token", ours.sign(nil), 401)
	e.change(func() { e.away = true })
	r.clock.SetTime(start().Add(time.Hour + time.Second))
	r.mustBe("the server is away", e.sign(), 200)
	r.clock.SetTime(start().Add(2*time.Hour + time.Second))
	r.mustBe("for longer than maxStale", e.sign(), 503)
	mustAssess(t, r, v1alpha1.ReasonKeysUnavailable,
		"the keys of "+e.URL+" cannot be had: fetch document: "+e.URL+"/.well-known/openid-configuration answers with status 502")
	e.change(func() { e.away = false })
	r.clock.SetTime(start().Add(2*time.Hour + 30*time.Second))
	r.mustBe("the server is back", e.sign(), 200)
}

func TestAnUnknownKeyOfAnIssuerElsewhereIsAskedForSeldom(t *testing.T) {
	e := newElsewhere(t)
	r, _ := begun(t, e.accepted)
	r.mustBe("their token", e.sign(), 200)
	for range 20 {
		unknown := newSigner(t)
		r.mustBe("an unknown key", unknown.sign(claims{"iss": e.URL}), 401)
	}
	old := e.signer
	e.signer = newSigner(t)
	e.change(func() { e.set = jwks(t, e.signer, old) })
	r.mustBe("the next key, within 10 seconds", e.sign(), 401)
	r.clock.SetTime(start().Add(10 * time.Second))
	r.mustBe("the next key", e.sign(), 200)
	if e.asked["/keys"] != 2 {
		t.Errorf("asked %v", e.asked)
	}
}

func TestPoliciesShareTheKeysOfAnIssuerElsewhere(t *testing.T) {
	e := newElsewhere(t)
	r, _ := begun(t, e.accepted)
	for _, name := range []string{"one", "two"} {
		other := &v1alpha1.TokenPolicy{ObjectMeta: named(name), Spec: v1alpha1.TokenPolicySpec{Audiences: []v1alpha1.Audience{audience}}}
		e.accepted(&other.Spec)
		r.write(other)
		if got := r.send(http.MethodGet, "/verify/shop/"+name, e.sign()); got != 200 {
			t.Errorf("%s: got %d", name, got)
		}
		r.mustBe("the first one", e.sign(), 200)
	}
	if e.asked["/keys"] != 1 {
		t.Errorf("asked %v", e.asked)
	}
	if got := len(r.directory.compiler.sources.shared); got != 1 {
		t.Errorf("%d sources", got)
	}
	r.policy(e.accepted, scope("orders:read"))
	r.mustBe("made anew", e.sign(), 200)
	if e.asked["/keys"] != 1 {
		t.Errorf("made anew: asked %v", e.asked)
	}
	for _, name := range []string{"api", "one", "two"} {
		r.remove(&v1alpha1.TokenPolicy{ObjectMeta: named(name)})
	}
	if got := len(r.directory.compiler.sources.shared); got != 0 {
		t.Errorf("%d sources of no policy", got)
	}
}

func TestTermsOfIssuersElsewhere(t *testing.T) {
	e := newElsewhere(t)
	for name, test := range map[string]struct {
		change func(*v1alpha1.ExternalIssuer)
		want   int
		said   string
	}{
		"by the URL of its keys":  {func(x *v1alpha1.ExternalIssuer) { x.JWKSURL = e.URL + "/elsewhere" }, 200, ""},
		"with its algorithm":      {func(x *v1alpha1.ExternalIssuer) { x.Algorithms = []v1alpha1.Algorithm{"ES256", "EdDSA"} }, 200, ""},
		"with another algorithm":  {func(x *v1alpha1.ExternalIssuer) { x.Algorithms = []v1alpha1.Algorithm{"ES256"} }, 401, ""},
		"without its CA":          {func(x *v1alpha1.ExternalIssuer) { x.CABundle = "" }, 503, "its certificate is not trusted: x509: certificate signed by unknown authority"},
		"by an address of nobody": {func(x *v1alpha1.ExternalIssuer) { x.JWKSURL = "https://127.0.0.1:1/keys" }, 503, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := begun(t, e.accepted, func(p *v1alpha1.TokenPolicySpec) { test.change(p.Issuers[0].External) })
			r.mustBe(name, e.sign(), test.want)
			if test.said != "" {
				mustAssess(t, r, v1alpha1.ReasonKeysUnavailable, "the keys of "+e.URL+" cannot be had: "+test.said)
			}
		})
	}
}

// A status that says the same in other words each time would be written each time.
func TestProblemsAreToldInWordsThatStay(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Addr: &net.TCPAddr{Port: 50123}, Err: err}
	}
	for want, err := range map[string]error{
		"its host has no address":                             dial(&net.DNSError{Err: "no such host", Server: "10.0.0.10:53"}),
		"connection refused":                                  dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)),
		"there is no answer within 5 seconds":                 fmt.Errorf("fetch: %w", context.DeadlineExceeded),
		"its certificate has expired or is not valid yet":     x509.CertificateInvalidError{Reason: x509.Expired, Detail: start().String()},
		"its certificate is not trusted: x509: unknown thing": &tls.CertificateVerificationError{Err: errors.New("x509: unknown thing")},
		"parse JWK Set: longer than 65536 bytes":              fmt.Errorf("%w: %w", verify.ErrKeysUnavailable, errors.New("parse JWK Set: longer than 65536 bytes")),
	} {
		if got := inStableWords(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
