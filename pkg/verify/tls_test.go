package verify_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

// site is a server of HTTPS with a certificate of its own.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	pages map[string]http.HandlerFunc
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pages: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		page, ok := s.pages[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *site) put(path string, page http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = page
}

func page(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(content)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func (s *site) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// of makes a verifier of tokens of the site's path, whose keys are as the source says.
func (s *site) of(t *testing.T, clock *stepped, path string, source verify.KeySource) *verify.Verifier {
	t.Helper()
	return newVerifier(t, verify.Options{Clock: clock.Now, Issuers: []verify.Issuer{{Name: s.URL + path, Audiences: []string{audience}, Keys: source}}})
}

func TestTheCAIsReadAnewForEachFetch(t *testing.T) {
	site, clock, signer := newSite(t), newClock(), signers()[jose.ES256]
	site.put("/jwks.json", page(jwks(signer)))
	ca := writeFile(t, []byte("no certificate"))
	verifier := site.of(t, clock, "", verify.URL{URL: site.URL + "/jwks.json", Fetch: verify.Fetch{CAFile: ca}})
	token := signer.sign(claims("iss", `"`+site.URL+`"`))
	must(t, "no certificate in the file", verifier, token, verify.ErrKeysUnavailable)
	for _, step := range []struct {
		when string
		ca   []byte
		want error
	}{{"another CA", otherCA(t), verify.ErrKeysUnavailable}, {"both CAs", append(otherCA(t), site.ca()...), nil}} {
		if err := os.WriteFile(ca, step.ca, 0o600); err != nil {
			t.Fatal(err)
		}
		clock.step(10 * time.Second)
		must(t, step.when, verifier, token, step.want)
	}
}

// otherCA has signed nothing.
func otherCA(t *testing.T) []byte {
	t.Helper()
	key := signers()[jose.ES256].private
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: start(), IsCA: true, BasicConstraintsValid: true}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
}

func TestServersThatNobodyVouchesForAreNotBelieved(t *testing.T) {
	site := newSite(t)
	verifier := site.of(t, newClock(), "", verify.URL{URL: site.URL})
	var unknown x509.UnknownAuthorityError
	if err := verifier.Ready(t.Context()); !errors.As(err, &unknown) || len(site.asked) != 0 {
		t.Errorf("got %v after %d requests, want an unknown authority", err, len(site.asked))
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	site, other := newSite(t), newSite(t)
	other.put("/jwks.json", page(jwks(signers()[jose.ES256])))
	ca := writeFile(t, append(site.ca(), other.ca()...))
	for _, to := range []string{other.URL + "/jwks.json", site.URL + "/there", "http://example.com/", "file:///etc/passwd"} {
		site.put("/jwks.json", http.RedirectHandler(to, http.StatusFound).ServeHTTP)
		verifier := site.of(t, newClock(), "", verify.URL{URL: site.URL + "/jwks.json", Fetch: verify.Fetch{CAFile: ca}})
		if err := verifier.Ready(t.Context()); err == nil || !containsText(err, "302") {
			t.Errorf("to %s: got %v, want the status", to, err)
		}
	}
	if len(other.asked) != 0 {
		t.Errorf("the other server was asked for %v", other.asked)
	}
}

func configuration(issuer, keys string) []byte {
	return fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q,"response_types_supported":["id_token"]}`, issuer, keys)
}

func TestDiscoveryFindsTheKeysAndFollowsThem(t *testing.T) {
	for _, path := range []string{"", "/", "/shop/orders"} {
		site, clock, old, next := newSite(t), newClock(), signers()[jose.ES256], newSigner(jose.ES256)
		elsewhere := newSite(t)
		document := strings.TrimSuffix(path, "/") + "/.well-known/openid-configuration"
		site.put(document, page(configuration(site.URL+path, site.URL+"/keys")))
		site.put("/keys", page(jwks(old)))
		elsewhere.put("/more/keys", page(jwks(next)))
		ca := writeFile(t, append(site.ca(), elsewhere.ca()...))
		verifier := site.of(t, clock, path, verify.Discovery{Fetch: verify.Fetch{CAFile: ca}})
		name := `"` + site.URL + path + `"`
		must(t, "where it is first", verifier, old.sign(claims("iss", name)), nil)
		clock.step(50 * time.Minute)
		must(t, "unchanged", verifier, old.sign(claims("iss", name)), nil)
		site.put(document, page(configuration(site.URL+path, elsewhere.URL+"/more/keys")))
		clock.step(10 * time.Minute)
		must(t, "moved, with the next key", verifier, next.sign(claims("iss", name, "exp", "1900000000")), nil)
		must(t, "moved, without the old key", verifier, old.sign(claims("iss", name, "exp", "1900000000")), verify.ErrUnknownKey)
	}
}

func TestConfigurationsThatAreNotTheIssuersAreRefused(t *testing.T) {
	site := newSite(t)
	site.put("/keys", page(jwks(signers()[jose.ES256])))
	keys := site.URL + "/keys"
	ca := writeFile(t, site.ca())
	for name, test := range map[string]struct {
		content []byte
		says    string
	}{
		"none":                    {nil, "404"},
		"of another issuer":       {configuration("https://evil.example.com", keys), "another issuer"},
		"of an issuer with slash": {configuration(site.URL+"/", keys), "another issuer"},
		"of two issuers":          {append([]byte(`{"issuer":"`+site.URL+`",`), configuration("https://evil.example.com", keys)[1:]...), "once"},
		"keys by http":            {configuration(site.URL, "http://"+strings.TrimPrefix(keys, "https://")), "jwks_uri"},
		"keys in a file":          {configuration(site.URL, "file:///etc/passwd"), "jwks_uri"},
		"no keys":                 {[]byte(`{"issuer":"` + site.URL + `"}`), "jwks_uri"},
		"too large":               {append(configuration(site.URL, keys), make([]byte, 64<<10)...), "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			site.put("/.well-known/openid-configuration", http.NotFound)
			if test.content != nil {
				site.put("/.well-known/openid-configuration", page(test.content))
			}
			verifier := site.of(t, newClock(), "", verify.Discovery{Fetch: verify.Fetch{CAFile: ca}})
			if err := verifier.Ready(t.Context()); !errors.Is(err, verify.ErrKeysUnavailable) || !containsText(err, test.says) {
				t.Errorf("got %v, want an error that says %s", err, test.says)
			}
		})
	}
}
