package verify_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func denying(revocations string) []byte {
	return []byte(`{"version":1,"issuer":"` + issuer + `","revocations":[` + revocations + `]}`)
}

// revoking is a verifier that remembers tokens and has a deny list.
func revoking(t testing.TB, clock func() time.Time, list verify.DenyList, of ...signer) *verify.Verifier {
	t.Helper()
	return newVerifier(t, verify.Options{Clock: clock, CacheSize: 10, Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: writeFile(t, jwks(of...))}, DenyList: list,
	}}})
}

func TestADenyListRefusesWhatItNames(t *testing.T) {
	signer := signers()[jose.EdDSA]
	token := signer.sign(claims("client_id", `"shop.web"`)) // iat 1800000000, jti one, sub alice
	for sentence, c := range map[string]struct {
		revocation, token string
		want              error
	}{
		"nothing":                             {``, token, nil},
		"its ID":                              {`{"jti":"one","until":1800003600}`, token, verify.ErrRevoked},
		"another ID":                          {`{"jti":"two","until":1800003600}`, token, nil},
		"its subject, after it was issued":    {`{"sub":"alice","issuedBefore":1800000001,"until":1800003600}`, token, verify.ErrRevoked},
		"its subject, when it was issued":     {`{"sub":"alice","issuedBefore":1800000000,"until":1800003600}`, token, nil},
		"its subject twice, the later counts": {`{"sub":"alice","issuedBefore":1800000001},{"sub":"alice","issuedBefore":1700000000}`, token, verify.ErrRevoked},
		"another subject":                     {`{"sub":"Alice","issuedBefore":1800000001,"until":1800003600}`, token, nil},
		"its client":                          {`{"client_id":"shop.web","issuedBefore":1800000001,"until":1800003600}`, token, verify.ErrRevoked},
		"a subject of that name is no client": {`{"sub":"shop.web","issuedBefore":1800000001,"until":1800003600}`, token, nil},
		"its key, whatever it signed":         {`{"kid":"` + signer.id() + `","until":1800003600}`, token, verify.ErrRevoked},
		"its key, before it was issued":       {`{"kid":"` + signer.id() + `","issuedBefore":1800000000}`, token, nil},
		"everything":                          {`{"issuedBefore":1800000001,"until":1800003600}`, token, verify.ErrRevoked},
		"everything before":                   {`{"issuedBefore":1800000000,"until":1800003600}`, token, nil},
		"a token that does not say when":      {`{"sub":"alice","issuedBefore":1}`, signer.sign(claims("iat", "")), verify.ErrRevoked},
		"a token that says it to a fraction":  {`{"sub":"alice","issuedBefore":1800000001}`, signer.sign(claims("iat", "1800000000.9")), verify.ErrRevoked},
		"a client_id that is no text":         {`{"client_id":"5","issuedBefore":1800000001}`, signer.sign(claims("client_id", "5")), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			clock := newClock()
			verifier := revoking(t, clock.Now, verify.File{Path: writeFile(t, denying(c.revocation))}, signer)
			must(t, "new", verifier, c.token, c.want)
			must(t, "again", verifier, c.token, c.want)
		})
	}
}

func TestADenyListThatIsNotUnderstoodLetsNobodyIn(t *testing.T) {
	signer := signers()[jose.EdDSA]
	for sentence, content := range map[string]string{
		"no JSON":                          `{`,
		"another version":                  strings.Replace(string(denying("")), "1", "2", 1),
		"no version":                       `{"issuer":"` + issuer + `","revocations":[]}`,
		"another issuer":                   `{"version":1,"issuer":"https://other.example.com","revocations":[]}`,
		"no revocations":                   `{"version":1,"issuer":"` + issuer + `"}`,
		"something that is no object":      string(denying(`"one"`)),
		"something that is not known":      string(denying(`{"azp":"web","issuedBefore":1800000001}`)),
		"two claims":                       string(denying(`{"sub":"bob","client_id":"web","issuedBefore":1800000001}`)),
		"an empty claim":                   string(denying(`{"sub":"","issuedBefore":1800000001}`)),
		"an instant that is none":          string(denying(`{"sub":"bob","issuedBefore":"now"}`)),
		"an instant after the year 9999":   string(denying(`{"sub":"bob","issuedBefore":253402300800}`)),
		"an end that is none":              string(denying(`{"sub":"bob","issuedBefore":1,"until":"never"}`)),
		"a member twice":                   string(denying(`{"jti":"two","jti":"three"}`)),
		"more than 8 MiB":                  string(denying(`{"jti":"` + strings.Repeat("x", 8<<20) + `"}`)),
		"the JWK Set mounted in its place": string(jwks(signer)),
	} {
		t.Run(sentence, func(t *testing.T) {
			verifier := revoking(t, newClock().Now, verify.File{Path: writeFile(t, []byte(content))}, signer)
			must(t, "a token that nobody revoked", verifier, signer.sign(claims()), verify.ErrDenyListUnavailable)
			if err := verifier.Ready(t.Context()); !errors.Is(err, verify.ErrDenyListUnavailable) || !containsText(err, issuer) {
				t.Errorf("ready: got %v", err)
			}
		})
	}
}

func TestAMountedDenyListIsFollowed(t *testing.T) {
	signer := signers()[jose.EdDSA]
	clock, path := newClock(), filepath.Join(t.TempDir(), "revocations.json")
	put := func(content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		clock.step(time.Second)
	}
	token := signer.sign(claims())
	verifier := revoking(t, clock.Now, verify.File{Path: path, MaxStale: time.Minute}, signer)
	must(t, "there is none", verifier, token, verify.ErrDenyListUnavailable)
	put(denying(""))
	must(t, "it is empty", verifier, token, nil)
	put(denying(`{"jti":"one"}`))
	must(t, "it names the token, which is remembered", verifier, token, verify.ErrRevoked)
	put(nil)
	must(t, "it is broken", verifier, token, verify.ErrRevoked)
	must(t, "it is broken, for another token", verifier, signer.sign(claims("jti", `"two"`)), nil)
	clock.step(time.Minute)
	must(t, "for too long", verifier, signer.sign(claims("jti", `"two"`)), verify.ErrDenyListUnavailable)
	put(denying(""))
	must(t, "it does not name the token any more", verifier, token, nil)
}

func TestAProgramHasADenyListOfItsOwn(t *testing.T) {
	signer := signers()[jose.EdDSA]
	var asked int
	revoked, away := false, error(nil)
	verifier := revoking(t, newClock().Now, verify.DenyFunc(func(_ context.Context, token *verify.Token) (bool, error) {
		asked++
		return revoked && token.Subject == "alice" && token.ClientID == "shop.web", away
	}), signer)
	token := signer.sign(claims("client_id", `"shop.web"`))
	must(t, "live", verifier, token, nil)
	revoked = true
	must(t, "revoked, and remembered", verifier, token, verify.ErrRevoked)
	revoked = false
	must(t, "not revoked any more", verifier, token, nil)
	away = errors.New("not read yet")
	must(t, "nobody knows", verifier, token, verify.ErrDenyListUnavailable)
	if asked != 4 {
		t.Errorf("asked %d times, want 4", asked)
	}
	must(t, "a token that is refused anyway", verifier, signer.sign(claims("exp", "1")), verify.ErrExpired)
	if asked != 4 {
		t.Error("asked about a token that is refused anyway")
	}
}

func TestARevokedTokenIsAnsweredAsRFC6750Says(t *testing.T) {
	signer := signers()[jose.EdDSA]
	var list verify.DenyFunc
	handler := revoking(t, newClock().Now, verify.DenyFunc(func(ctx context.Context, token *verify.Token) (bool, error) {
		return list(ctx, token)
	}), signer).Require()(http.NotFoundHandler())
	for sentence, c := range map[string]struct {
		list      verify.DenyFunc
		status    int
		challenge string
	}{
		"revoked": {
			func(context.Context, *verify.Token) (bool, error) { return true, nil },
			401,
			invalid("invalid_token", "the token has been revoked"),
		},
		"nobody knows": {func(context.Context, *verify.Token) (bool, error) { return false, errors.New("away") }, 503, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			list = c.list
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			request.Header.Set("Authorization", "Bearer "+signer.sign(claims()))
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			retry := answer.Header().Get("Retry-After")
			if answer.Code != c.status || answer.Header().Get("WWW-Authenticate") != c.challenge || (retry != "") != (c.status == 503) {
				t.Errorf("status %d, headers %v: want %d, %q", answer.Code, answer.Header(), c.status, c.challenge)
			}
		})
	}
}

func TestASourceOfADenyListIsChecked(t *testing.T) {
	for field, list := range map[string]verify.DenyList{
		"Path": verify.File{}, "URL": verify.URL{URL: "http://keys.example.com/revocations.json"}, "DenyFunc": verify.DenyFunc(nil),
	} {
		_, err := verify.New(verify.Options{Issuers: []verify.Issuer{{
			Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: "x"}, DenyList: list,
		}}})
		if !containsText(err, "Issuers[0]") || !containsText(err, "DenyList") || !containsText(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
