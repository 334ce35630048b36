package clientauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/jose"
)

func TestAClientProvesItselfByAnAssertion(t *testing.T) {
	for _, algorithm := range []jose.Algorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA} {
		key := generate(t, algorithm)
		w := begin(t, withKeys(jwks(t, key)))
		for sentence, c := range map[string]struct {
			typ     string
			changes map[string]any
		}{
			"with the issuer as its audience":                     {"JWT", nil},
			"with the token endpoint as its audience":             {"JWT", map[string]any{"aud": endpoint}},
			"with a list of one audience":                         {"JWT", map[string]any{"aud": []string{issuer}}},
			"of the type that the specification to come asks for": {"client-authentication+jwt", nil},
			"without iat":               {"JWT", map[string]any{"iat": nil}},
			"that lives for an hour":    {"JWT", map[string]any{"exp": w.clock.Now().Add(time.Hour).Unix()}},
			"by a clock that is behind": {"JWT", map[string]any{"exp": w.clock.Now().Add(time.Second - skew).Unix()}},
			"by a clock that is ahead":  {"JWT", map[string]any{"iat": w.clock.Now().Add(skew).Unix(), "nbf": w.clock.Now().Add(skew).Unix()}},
		} {
			t.Run(string(algorithm)+" "+sentence, func(t *testing.T) {
				claims := w.claims(c.changes)
				claims["jti"] = sentence
				proof, err := w.attempt(clientauth.Attempt{ClientID: "shop.cart", Assertion: jose.NewCompact(sign(t, key, c.typ, claims))})
				must(t, err)
				if proof.Client.Name != "cart" || proof.Method != clientauth.PrivateKeyJWT {
					t.Errorf("the proof is %+v", proof)
				}
			})
		}
	}
}

// forge makes a token with any header, signed as sign says.
func forge(t *testing.T, header, claims map[string]any, sign func(text string) []byte) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString(encode(t, header)) + "." + base64.RawURLEncoding.EncodeToString(encode(t, claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

func byHMAC(secret []byte) func(string) []byte {
	return func(text string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
}

func TestAssertionsThatProveNothing(t *testing.T) {
	key, other := generate(t, jose.ES256), generate(t, jose.ES256)
	set := jwks(t, key)
	neighbour := withKeys(jwks(t, other))
	neighbour.Name, neighbour.UID = "neighbour", "neighbour"
	w := begin(t, withKeys(set), neighbour)
	ahead := func(d time.Duration) map[string]any { return map[string]any{"exp": w.clock.Now().Add(d).Unix()} }
	signed := func(changes map[string]any) string { return sign(t, key, "JWT", w.claims(changes)) }
	genuine := signed(nil)
	header := func(more map[string]any) map[string]any {
		h := map[string]any{"alg": "ES256", "kid": key.ID(), "typ": "JWT"}
		maps.Copy(h, more)
		return h
	}
	genuinely := func(string) []byte {
		signature, _ := base64.RawURLEncoding.DecodeString(genuine[strings.LastIndexByte(genuine, '.')+1:])
		return signature
	}
	var public struct {
		Keys []json.RawMessage `json:"keys"`
	}
	must(t, json.Unmarshal([]byte(set), &public))
	for sentence, c := range map[string]struct{ assertion, words string }{
		"alg none":                              {forge(t, header(map[string]any{"alg": "none"}), w.claims(nil), genuinely), "neither a client_id nor"},
		"alg none without a signature":          {genuine[:strings.LastIndexByte(genuine, '.')+1], "neither a client_id nor"},
		"HS256 with the public key as secret":   {forge(t, header(map[string]any{"alg": "HS256"}), w.claims(nil), byHMAC(public.Keys[0])), "neither a client_id nor"},
		"HS256 with the key set as secret":      {forge(t, header(map[string]any{"alg": "HS256"}), w.claims(nil), byHMAC([]byte(set))), "neither a client_id nor"},
		"another algorithm than the key's":      {forge(t, header(map[string]any{"alg": "ES384"}), w.claims(nil), genuinely), "algorithm"},
		"a key in its header":                   {forge(t, header(map[string]any{"jwk": public.Keys[0]}), w.claims(nil), genuinely), "neither a client_id nor"},
		"a place of keys in its header":         {forge(t, header(map[string]any{"jku": "https://evil.example"}), w.claims(nil), genuinely), "neither a client_id nor"},
		"a certificate in its header":           {forge(t, header(map[string]any{"x5c": []string{"x"}}), w.claims(nil), genuinely), "neither a client_id nor"},
		"a header that must be understood":      {forge(t, header(map[string]any{"crit": []string{"exp"}}), w.claims(nil), genuinely), "neither a client_id nor"},
		"a path as kid":                         {forge(t, header(map[string]any{"kid": "../../" + key.ID()}), w.claims(nil), genuinely), "does not publish"},
		"a signature over something else":       {forge(t, header(nil), w.claims(map[string]any{"x": 1}), genuinely), "signature"},
		"a key that is not the client's":        {sign(t, other, "JWT", w.claims(nil)), "does not publish"},
		"an access token":                       {sign(t, key, "at+jwt", w.claims(nil)), "type"},
		"another client's key for this one":     {sign(t, key, "JWT", w.claims(map[string]any{"iss": "shop.neighbour", "sub": "shop.neighbour"})), "does not publish"},
		"another subject":                       {signed(map[string]any{"sub": "shop.neighbour"}), "sub must be"},
		"no subject":                            {signed(map[string]any{"sub": nil}), "sub must be"},
		"another issuer":                        {signed(map[string]any{"iss": "nobody"}), "no such client"},
		"another audience":                      {signed(map[string]any{"aud": "https://evil.example"}), "audience"},
		"no audience":                           {signed(map[string]any{"aud": nil}), "audience"},
		"another issuer's endpoint as audience": {signed(map[string]any{"aud": "https://jwt.example/shop/other/token"}), "audience"},
		"a further audience":                    {signed(map[string]any{"aud": []string{issuer, "https://evil.example"}}), "nobody else"},
		"us twice as audience":                  {signed(map[string]any{"aud": []string{issuer, endpoint}}), "nobody else"},
		"its end has come":                      {signed(ahead(-skew)), "expired"},
		"no end":                                {signed(map[string]any{"exp": nil}), "exp is missing"},
		"its end is too far ahead":              {signed(ahead(time.Hour + skew + time.Second)), "exp must be at most"},
		"its end is in the last year that is":   {signed(map[string]any{"exp": 253402300799}), "exp must be at most"},
		"it is not valid yet":                   {signed(map[string]any{"nbf": w.clock.Now().Add(skew + time.Second).Unix()}), "not valid yet"},
		"it was made in the future":             {signed(map[string]any{"iat": w.clock.Now().Add(skew + time.Second).Unix()}), "iat"},
		"no jti":                                {signed(map[string]any{"jti": nil}), "jti"},
		"an empty jti":                          {signed(map[string]any{"jti": ""}), "jti"},
		"a jti that is too long":                {signed(map[string]any{"jti": strings.Repeat("x", 257)}), "jti"},
		"a number as jti":                       {forge(t, header(nil), w.claims(map[string]any{"jti": 1}), genuinely), "neither a client_id nor"},
		"nothing":                               {"", "neither a client_id nor"},
		"garbage":                               {"a.b.c", "neither a client_id nor"},
		"too much":                              {signed(nil) + strings.Repeat("x", 17<<10), "neither a client_id nor"},
	} {
		t.Run(sentence, func(t *testing.T) {
			refused(t, w.assert(c.assertion), c.words)
			if c.assertion == "" {
				return
			}
			_, err := w.attempt(clientauth.Attempt{ClientID: "shop.cart", Assertion: jose.NewCompact(c.assertion)})
			refused(t, err, "")
			if strings.Contains(err.Error(), c.assertion) {
				t.Error("the error quotes the assertion")
			}
		})
	}
	_, err := w.attempt(clientauth.Attempt{ClientID: "shop.neighbour", Assertion: jose.NewCompact(genuine)})
	refused(t, err, "issuer that is not accepted")
	must(t, w.assert(genuine)) // None of the above has used it up.
}

func TestAnAssertionIsTakenOnce(t *testing.T) {
	key := generate(t, jose.ES256)
	w := begin(t, withKeys(jwks(t, key)))
	first := sign(t, key, "JWT", w.claims(nil))
	must(t, w.assert(first))
	refused(t, w.assert(first), "used before")
	refused(t, w.assert(sign(t, key, "JWT", w.claims(map[string]any{"x": 1}))), "used before")
	must(t, w.assert(sign(t, key, "JWT", w.claims(map[string]any{"jti": "two"}))))
	w.clock.Step(time.Minute + skew - time.Second) // Its last second.
	refused(t, w.assert(first), "used before")
	w.clock.Step(time.Second)
	refused(t, w.assert(first), "expired")
}

func TestKeysThatCannotBeUsedProveNothing(t *testing.T) {
	key := generate(t, jose.ES256)
	for sentence, set := range map[string]string{
		"no JSON":         "x",
		"no key":          `{"keys":[]}`,
		"a private key":   `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","d":"AA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		"a symmetric key": `{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"AA"}]}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			w := begin(t, withKeys(set))
			refused(t, w.assert(sign(t, key, "JWT", w.claims(nil))), "keys of the client cannot be used")
		})
	}
}

// keyServer publishes a key set by HTTPS.
type keyServer struct {
	*httptest.Server
	set      atomic.Value
	status   atomic.Int32
	requests atomic.Int32
}

func serveKeys(t *testing.T, set string) (*keyServer, *v1alpha1.TokenClient) {
	t.Helper()
	s := &keyServer{}
	s.set.Store(set)
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.requests.Add(1)
		w.Header().Set("Location", s.URL+"/elsewhere")
		w.WriteHeader(int(s.status.Load()))
		_, _ = w.Write([]byte(s.set.Load().(string)))
	}))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c := tokenClient(v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKSURL: s.URL + "/jwks.json", CABundle: string(ca)}})
	return s, c
}

func TestKeysAreFetchedAndKept(t *testing.T) {
	first, second := generate(t, jose.ES256), generate(t, jose.ES256)
	s, c := serveKeys(t, jwks(t, first))
	w := begin(t, c)
	try := func(key jose.PrivateKey, jti string) error {
		return w.assert(sign(t, key, "JWT", w.claims(map[string]any{"jti": jti})))
	}

	must(t, try(first, "1"))
	must(t, try(first, "2"))
	refused(t, try(second, "3"), "does not publish")
	if n := s.requests.Load(); n != 1 {
		t.Errorf("keys were fetched %d times within 10 seconds, want once", n)
	}
	s.set.Store(jwks(t, first, second))
	w.clock.Step(10 * time.Second)
	must(t, try(second, "4"))

	s.status.Store(http.StatusInternalServerError)
	w.clock.Step(time.Hour)
	must(t, try(second, "5"))
	w.clock.Step(time.Hour)
	unavailable(t, try(second, "6"))
}

func TestKeysAreNotFetchedFromElsewhere(t *testing.T) {
	key := generate(t, jose.ES256)
	for sentence, change := range map[string]func(*keyServer, *v1alpha1.PrivateKeyJWTAuthentication){
		"a redirect":    func(s *keyServer, _ *v1alpha1.PrivateKeyJWTAuthentication) { s.status.Store(http.StatusFound) },
		"an unknown CA": func(_ *keyServer, a *v1alpha1.PrivateKeyJWTAuthentication) { a.CABundle = "" },
		"a set that is too big": func(s *keyServer, _ *v1alpha1.PrivateKeyJWTAuthentication) {
			s.set.Store(strings.Repeat(" ", 65<<10) + s.set.Load().(string))
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			s, c := serveKeys(t, jwks(t, key))
			change(s, c.Spec.Authentication.PrivateKeyJWT)
			w := begin(t, c)
			unavailable(t, w.assert(sign(t, key, "JWT", w.claims(nil))))
		})
	}
	_, c := serveKeys(t, jwks(t, key))
	c.Spec.Authentication.PrivateKeyJWT.JWKSURL = "http" + strings.TrimPrefix(c.Spec.Authentication.PrivateKeyJWT.JWKSURL, "https")
	w := begin(t, c)
	refused(t, w.assert(sign(t, key, "JWT", w.claims(nil))), "not an https URL")
}

func TestNewKeysOfAClientCountAtOnce(t *testing.T) {
	first, second := generate(t, jose.ES256), generate(t, jose.ES256)
	c := withKeys(jwks(t, first))
	w := begin(t, c)
	must(t, w.assert(sign(t, first, "JWT", w.claims(nil))))
	c.Spec.Authentication.PrivateKeyJWT.JWKS = jwks(t, second)
	must(t, w.c.Update(t.Context(), c))
	refused(t, w.assert(sign(t, first, "JWT", w.claims(map[string]any{"jti": "2"}))), "does not publish")
	must(t, w.assert(sign(t, second, "JWT", w.claims(map[string]any{"jti": "3"}))))
}
