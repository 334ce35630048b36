package verify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

// FuzzRequests sends any Authorization header to the middleware: whoever is let in is who has signed the token, and whoever is not is
// told so as RFC 6750 has it, in words that are none of the header's.
func FuzzRequests(f *testing.F) {
	signer := signers()[jose.EdDSA]
	verifier := accepting(f, newClock(), signer)
	for _, seed := range []string{
		"Bearer TOKEN", "bearer   TOKEN", "Bearer TOKEN ", "Bearer TOKEN,Bearer TOKEN", "Bearer TOKEN=", "Basic YTpi", "Bearer", "DPoP TOKEN", "BearerTOKEN",
		"Bearer\tTOKEN", "Bearer " + signers()[jose.ES256].sign(claims()), "Bearer a.b.c", "Bearer " + strings.Repeat("a", 17<<10), "Bearer é", "",
	} {
		f.Add(seed, "", false)
		f.Add(seed, "Bearer TOKEN", true)
	}
	token := signer.sign(claims())
	var seen *verify.Token
	handler := verifier.Require("orders.read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen, _ = verify.FromContext(r.Context()) }))
	f.Fuzz(func(t *testing.T, first, second string, two bool) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		values := []string{strings.ReplaceAll(first, "TOKEN", token)}
		if two {
			values = append(values, strings.ReplaceAll(second, "TOKEN", token))
		}
		r.Header["Authorization"] = values
		seen = nil
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if let := seen != nil; let != (w.Code == http.StatusOK) || let && (two || !strings.HasSuffix(values[0], token) || seen.Subject != "alice") {
			t.Fatalf("%d, handled for %v, with %q", w.Code, seen, values)
		}
		if w.Code == http.StatusOK {
			return
		}
		challenge := w.Header().Get("WWW-Authenticate")
		if !slices.Contains([]int{http.StatusUnauthorized, http.StatusBadRequest}, w.Code) || !strings.HasPrefix(challenge, `Bearer realm="api"`) {
			t.Errorf("%d %s", w.Code, challenge)
		}
		for _, value := range values {
			if at := strings.IndexByte(value, ' '); at >= 0 {
				mustNotQuote(t, challenge+w.Body.String(), value[at:])
			}
		}
	})
}

// FuzzClientKeys writes any JWK Set into a TokenClient: what admission takes, through internal/jose, is what its assertions are verified by
// here, each key for an algorithm.
func FuzzClientKeys(f *testing.F) {
	es, rs, ed := signers()[jose.ES512].public(), signers()[jose.RS256].public(), signers()[jose.EdDSA].public()
	for _, keys := range [][]any{
		{with(es, "alg", "", "kid", "é"), with(rs, "alg", "", "use", "")},
		{with(ed, "alg", "Ed25519")},
		{with(rs, "alg", "PS512"), es},
		{with(es, "d", "AA")},
		{with(rs, "e", "AQ")},
		{with(es, "alg", "ES256")},
		{with(es, "x", es["y"])},
		{rs, rs},
		{},
	} {
		f.Add(jwkSet(keys...))
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		if err := jose.CheckClientKeySet(set); err != nil {
			mustNotQuote(t, err.Error(), string(set))
			return
		}
		var written struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err := json.Unmarshal(set, &written); err != nil {
			t.Fatal(err)
		}
		keys, err := verify.Keys(set)
		if err != nil || len(keys) != len(written.Keys) || len(keys) == 0 || len(keys) > jose.MaxClientKeys {
			t.Errorf("admission takes %d keys, %v are read: %v", len(written.Keys), keys, err)
		}
	})
}

// revocation is one as docs/tokenrevocation.md has it.
type revocation struct {
	JTI          string `json:"jti"`
	Sub          string `json:"sub"`
	ClientID     string `json:"client_id"`
	KID          string `json:"kid"`
	IssuedBefore *int64 `json:"issuedBefore"`
}

// FuzzDenyList reads any deny list: what one of its revocations names is denied, and nothing else.
func FuzzDenyList(f *testing.F) {
	for _, seed := range []string{
		`{"jti":"one","until":1800003600}`, `{"sub":"alice","issuedBefore":1800000001},{"sub":"alice","issuedBefore":1700000000}`, `{"issuedBefore":1800000000}`, `{}`,
		`{"sub":"alice","sub":"bob"}`, `{"sub":"alice","jti":"one"}`, `{"client_id":"\u0073hop.web","until":-1}`, `{"kid":""}`, `{"issuedBefore":253402300800}`, `{"issuedBefore":1e9}`,
	} {
		f.Add(denying(seed))
	}
	f.Add([]byte(`{"version":1.0,"issuer":"` + issuer + `","revocations":[]}`))
	token := verify.Token{ID: "one", Subject: "alice", ClientID: "shop.web", KeyID: "key", IssuedAt: time.Unix(1_800_000_000, 0)}
	f.Fuzz(func(t *testing.T, document []byte) {
		denied, err := verify.Denied(document, issuer, &token)
		if err != nil {
			return
		}
		var list struct {
			Issuer      string       `json:"issuer"`
			Revocations []revocation `json:"revocations"`
		}
		if err := json.Unmarshal(document, &list); err != nil || list.Issuer != issuer {
			t.Fatalf("a deny list of %q is read: %v", list.Issuer, err)
		}
		want := slices.ContainsFunc(list.Revocations, func(r revocation) bool {
			names := r.JTI+r.Sub+r.ClientID+r.KID == "" || r.JTI == token.ID || r.Sub == token.Subject || r.ClientID == token.ClientID || r.KID == token.KeyID
			return names && (r.IssuedBefore == nil || token.IssuedAt.Unix() < *r.IssuedBefore)
		})
		if denied != want {
			t.Errorf("denied is %v, want %v", denied, want)
		}
	})
}
