package tokenservice_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/tokenservice"
)

// robot is the client shop.cart with a key of its own.
func robot(t *testing.T, key jose.PrivateKey) client.Object {
	t.Helper()
	set, err := jose.NewKeySet(key.Public()).JSON()
	if err != nil {
		t.Fatal(err)
	}
	c, _ := cart()[0].(*v1alpha1.TokenClient)
	c.Spec.Authentication = v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: string(set)}}
	return c
}

func assertion(changes map[string]any) map[string]any {
	said := map[string]any{"iss": clientID, "sub": clientID, "aud": issuer, "jti": "one", "scope": nil}
	maps.Copy(said, changes)
	return said
}

// raw is a token of any header and signature.
func raw(header, claims, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte(signature))
}

func TestAttacksByAssertions(t *testing.T) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, robot(t, key))
	ask := func(compact string, more ...string) reply {
		return s.post("token", append([]string{
			"grant_type", "client_credentials", "client_assertion", compact, "client_assertion_type", jwtBearer,
		}, more...)...)
	}
	good := forged(t, key, "JWT", start(), assertion(nil))
	s.granted(ask(good))
	claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"jti":"x","exp":%d}`, clientID, clientID, issuer, start().Add(time.Minute).Unix())
	public, err := key.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	for sentence, compact := range map[string]string{
		"the same once more":               good,
		"alg none":                         raw(`{"alg":"none","kid":"`+key.ID()+`"}`, claims, "x"),
		"no signature":                     strings.TrimRight(raw(`{"alg":"none"}`, claims, ""), "."),
		"HMAC with the public key":         raw(`{"alg":"HS256","kid":"`+key.ID()+`"}`, claims, "x"),
		"another algorithm than the key's": raw(`{"alg":"ES384","kid":"`+key.ID()+`"}`, claims, strings.Repeat("x", 96)),
		"a key that comes with it":         raw(`{"alg":"ES256","kid":"`+key.ID()+`","jwk":`+string(public)+`}`, claims, strings.Repeat("x", 64)),
		"a key from elsewhere":             raw(`{"alg":"ES256","kid":"`+key.ID()+`","jku":"https://evil.example"}`, claims, strings.Repeat("x", 64)),
		"a kid that is a path":             raw(`{"alg":"ES256","kid":"../../etc/passwd"}`, claims, strings.Repeat("x", 64)),
		"a claim twice":                    raw(`{"alg":"ES256","kid":"`+key.ID()+`"}`, strings.Replace(claims, "{", `{"iss":"far.cart",`, 1), strings.Repeat("x", 64)),
		"for another audience":             forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "2", "aud": "https://else.example"})),
		"of another subject":               forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "3", "sub": "shop.other"})),
		"of another client":                forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "4", "iss": "shop.other", "sub": "shop.other"})),
		"without an ID":                    forged(t, key, "JWT", start(), assertion(map[string]any{"jti": nil})),
		"that has expired":                 forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "5", "exp": start().Add(-2 * time.Minute).Unix()})),
		"that never ends":                  forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "6", "exp": start().Add(30 * 24 * time.Hour).Unix()})),
		"signed by somebody else":          foreignAssertion(t),
		"nested a thousand times":          raw(`{"alg":"ES256","kid":"x"}`, strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000), "x"),
		"huge":                             strings.Repeat("A", 40<<10),
		"compressed":                       raw(`{"alg":"ES256","zip":"DEF","kid":"`+key.ID()+`"}`, claims, strings.Repeat("x", 64)),
	} {
		t.Log(sentence)
		s.refused(ask(compact, "client_id", clientID), http.StatusUnauthorized, "invalid_client")
	}
	s.granted(ask(forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "another"}))))
	own := forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "8"}))
	s.refused(s.post("token", "anonymous", "", "grant_type", exchange, "subject_token", own,
		"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), http.StatusUnauthorized, "invalid_client")
}

func foreignAssertion(t *testing.T) string {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return forged(t, key, "JWT", start(), assertion(map[string]any{"jti": "7"}))
}

func TestAttacksByRequests(t *testing.T) {
	s := begin(t, cart()...)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}}.Encode()
	s.granted(s.do(s.request("token", form)))
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	_, _ = packed.Write(make([]byte, 10<<20))
	s.must(packed.Close())
	with := func(body string, change func(*http.Request)) *http.Request {
		r := s.request("token", body)
		if change != nil {
			change(r)
		}
		return r
	}
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for sentence, c := range map[string]struct {
		request *http.Request
		status  int
	}{
		"GET":                          {httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/bank/main/token?"+form, nil), 405},
		"a method that there is not":   {with(form, func(r *http.Request) { r.Method = "BREW" }), 405},
		"a preflight":                  {with("", func(r *http.Request) { r.Method = http.MethodOptions }), 405},
		"parameters in the URL":        {with(form, func(r *http.Request) { r.URL.RawQuery = "scope=write" }), 400},
		"JSON":                         {with(`{"grant_type":"client_credentials"}`, header("Content-Type", "application/json")), 415},
		"multipart":                    {with(form, header("Content-Type", "multipart/form-data; boundary=x")), 415},
		"no content type":              {with(form, header("Content-Type")), 415},
		"two content types":            {with(form, header("Content-Type", "application/x-www-form-urlencoded", "text/plain")), 415},
		"a compressed body":            {with(bomb.String(), header("Content-Encoding", "gzip")), 415},
		"a huge body":                  {with(form+"&x="+strings.Repeat("a", 64<<10), nil), 413},
		"a parameter twice":            {with(form+"&grant_type=client_credentials", nil), 400},
		"a secret twice":               {with(form+"&client_secret=other", nil), 400},
		"a line break in a parameter":  {with(form+"&scope=read%0d%0aSet-Cookie:x", nil), 400},
		"a NUL in a parameter":         {with(form+"&scope=%00", nil), 400},
		"a broken escape":              {with(form+"&scope=%zz", nil), 400},
		"hundreds of parameters":       {with(form+strings.Repeat("&resource="+url.QueryEscape(audience), 100), nil), 400},
		"two ways to prove itself":     {with(form, func(r *http.Request) { r.SetBasicAuth(clientID, secret) }), 400},
		"a secret beside the header":   {with("grant_type=client_credentials&client_secret=x", func(r *http.Request) { r.SetBasicAuth(clientID, secret) }), 400},
		"an assertion beside it":       {with("grant_type=client_credentials&client_assertion=a.b.c&client_assertion_type="+jwtBearer, func(r *http.Request) { r.SetBasicAuth(clientID, secret) }), 400},
		"two clients":                  {with("grant_type=client_credentials&client_id=shop.other", func(r *http.Request) { r.SetBasicAuth(clientID, secret) }), 400},
		"a Bearer token and a secret":  {with(form, header("Authorization", "Bearer x")), 400},
		"a secret and an assertion":    {with(form+"&client_assertion=a.b.c&client_assertion_type="+jwtBearer, nil), 400},
		"both of nobody":               {with("grant_type=client_credentials&client_secret=x&client_assertion=a.b.c&client_assertion_type="+jwtBearer, nil), 400},
		"an assertion of another type": {with("grant_type=client_credentials&client_assertion=a.b.c&client_assertion_type=saml", nil), 400},
		"an assertion of no type":      {with("grant_type=client_credentials&client_assertion=a.b.c", nil), 400},
		"two Authorization headers":    {with("grant_type=client_credentials", header("Authorization", "Basic QQ==", "Basic Qg==")), 400},
	} {
		got := s.do(c.request)
		if got.status != c.status || got.text("error") != "invalid_request" {
			t.Errorf("%s: got %d %s, want %d", sentence, got.status, got.body, c.status)
		}
		if allow := got.header.Get("Allow"); (allow == http.MethodPost) != (c.status == 405) {
			t.Errorf("%s: Allow is %q", sentence, allow)
		}
	}
}

// slowly is a body during which time goes by and things happen.
type slowly struct {
	io.Reader
	meanwhile func()
}

func (b *slowly) Read(p []byte) (int, error) {
	if b.meanwhile != nil {
		b.meanwhile()
		b.meanwhile = nil
	}
	return b.Reader.Read(p)
}

func (b *slowly) Close() error { return nil }

// TestWhoSendsSlowlyIsJudgedAtTheEnd: nobody keeps an instant, or a key that is about to change, by holding back his request.
func TestWhoSendsSlowlyIsJudgedAtTheEnd(t *testing.T) {
	s := begin(t, cart()...)
	expiring := s.signed("at+jwt", map[string]any{"exp": start().Add(5 * time.Second).Unix()})
	send := func(endpoint, form string, meanwhile func()) reply {
		r := s.request(endpoint, "")
		r.Body = &slowly{strings.NewReader(form + "&client_id=" + clientID + "&client_secret=" + secret), meanwhile}
		return s.do(r)
	}
	wait := func() { s.clock.Step(7 * time.Second) }
	if got := send("introspect", "token="+expiring, wait); got.said["active"] != false {
		t.Error("a token that has expired meanwhile:", got.body)
	}
	claims := s.granted(send("token", "grant_type=client_credentials", wait))
	if claims["iat"] != float64(s.clock.Now().Unix()) {
		t.Errorf("iat is %v, want %d", claims["iat"], s.clock.Now().Unix())
	}
	s.refused(send("token", "grant_type=client_credentials", func() {
		s.key.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromSame
		s.write(s.key)
	}), http.StatusBadRequest, "unauthorized_client")
}

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

// TestWhoProvesNothingIsNoClient is RFC 6749 section 5.2: "no client authentication included, or unsupported authentication method".
func TestWhoProvesNothingIsNoClient(t *testing.T) {
	s := begin(t, cart()...)
	for _, endpoint := range []string{"token", "introspect", "revoke"} {
		for sentence, authorization := range map[string]string{
			"nothing": "", "Bearer instead of Basic": "Bearer " + secret, "a word": "x", "no base64": "Basic %%%",
			"no colon": basic("A"), "an escape that is broken": basic("%:%"), "nobody": basic(":"), "no secret": basic(clientID + ":"),
		} {
			for _, id := range []string{"", "&client_id=" + clientID} {
				r := s.request(endpoint, "grant_type=client_credentials&token=x"+id)
				if authorization != "" {
					r.Header.Set("Authorization", authorization)
				}
				t.Log(endpoint, sentence, id)
				s.refused(s.do(r), http.StatusUnauthorized, "invalid_client")
			}
		}
	}
}

func TestPathsThatAreNoEndpoint(t *testing.T) {
	s := begin(t, cart()...)
	s.options.Operator.ExternalURL = external + "/prefix"
	s.serve()
	post := func(path string) reply {
		r := s.request("token", "grant_type=client_credentials&client_id="+clientID+"&client_secret="+secret)
		at, err := url.Parse(path)
		s.must(err)
		r.URL = at
		return s.do(r)
	}
	for _, path := range []string{
		"/bank/main/token/", "/bank//main/token", "//bank/main/token", "/bank/main//token", "/bank/./main/token", "/bank/main/x/../token",
		"/bank/main/%74oken", "/bank%2fmain/token", "/bank/main%2Ftoken", "/%62ank/main/token", "/bank/main/token%2f", "/bank/main/token%00",
		"/prefix%2fbank/main/token/x", "/prefix/bank/main/%74oken", "/prefix/prefix/bank/main/token", "/prefixbank/main/token",
		"/bank/main/authorize", "/bank/main/userinfo", "/bank/main/keys", "/bank/main/.well-known/openid-configuration",
		"/token", "/oauth/token", "/bank/token", "/bank/main/TOKEN", "/BANK/main/token", "/healthz", "/ready",
		"/bank/other/token", "/other/main/token", "/a%0ab/main/token", "/bank/ma.in/token", "/" + strings.Repeat("a", 20_000) + "/main/token",
	} {
		before := len(s.log())
		if got := post(path); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d %s", short(path), got.status, got.body)
		}
		if line := s.log()[before:]; len(line) > 400 {
			t.Errorf("%s: logged as %s", short(path), short(line))
		}
	}
	for _, path := range []string{"/bank/main/token", "/prefix/bank/main/token"} {
		s.granted(post(path))
	}
}

func TestWhoeverAsksTooOftenWaits(t *testing.T) {
	s := begin(t, cart()...)
	s.options.Limits = tokenservice.Limits{PerAddress: 10, PerClient: 5}
	s.serve()
	ask := func() reply { return s.post("token", "grant_type", "client_credentials") }
	for range 20 {
		s.granted(ask())
	}
	s.refused(ask(), http.StatusTooManyRequests, "temporarily_unavailable")
	s.clock.Step(time.Second)
	s.granted(ask())

	s.serve() // Nothing is remembered.
	wrong := func() reply {
		return s.post("token", "grant_type", "client_credentials", "client_id", "shop.nobody", "client_secret", "x")
	}
	for range 4 {
		s.refused(wrong(), http.StatusUnauthorized, "invalid_client")
	}
	s.refused(wrong(), http.StatusTooManyRequests, "temporarily_unavailable")
	s.refused(ask(), http.StatusTooManyRequests, "temporarily_unavailable")
}

// metricsText is all that is told to Prometheus.
func metricsText(t *testing.T) string {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, family := range families {
		text.WriteString(family.String() + "\n")
	}
	return text.String()
}

func TestNothingThatIsToldHoldsASecret(t *testing.T) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := robot(t, key).(*v1alpha1.TokenClient)
	other.Name, other.UID = "robot", "robot"
	s := begin(t, append(cart(), other, pods())...)
	till := s.account("shop", "till")
	mine := map[string]any{"iss": "shop.robot", "sub": "shop.robot"}
	assert := forged(t, key, "JWT", start(), assertion(mine))
	var secrets []string
	note := func(r reply) reply {
		secrets = append(secrets, r.text("access_token"), r.text("refresh_token"))
		return r
	}
	got := note(s.post("token", "grant_type", "client_credentials"))
	note(s.refresh(got.text("refresh_token")))
	note(s.refresh(got.text("refresh_token")))
	for range 2 {
		note(s.post("token", "grant_type", "client_credentials", "client_assertion", assert, "client_assertion_type", jwtBearer))
	}
	note(s.post("token", "grant_type", exchange, "client_id", "shop.pods", "subject_token", till, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"))
	s.post("introspect", "token", got.text("access_token"))
	s.post("introspect", "token", got.text("refresh_token"))
	s.post("revoke", "token", got.text("access_token"))
	s.post("token", "grant_type", "client_credentials", "client_id", clientID, "client_secret", secret+"x")
	s.post("token", "grant_type", exchange, "subject_token", got.text("access_token"), "subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
	said := s.log()
	if lines := strings.Count(said, "\n"); lines != 11 {
		t.Errorf("there are %d lines for 11 decisions:\n%s", lines, said)
	}
	told := map[string]string{"the log": said, "the metrics": metricsText(t)}
	for len(s.events.Events) > 0 {
		told["the events"] += <-s.events.Events
	}
	for _, one := range append(secrets, secret, assert, till) {
		if one == "" {
			continue
		}
		for _, part := range append(strings.Split(one, "."), one) {
			for where, text := range told {
				if strings.Contains(text, part) {
					t.Errorf("%s: there is %q", where, part)
				}
			}
		}
	}
	if !strings.Contains(told["the events"], v1alpha1.ReasonRefreshTokenReused) || !strings.Contains(told["the metrics"], "keyturn_token_endpoint_requests_total") {
		t.Error("there is nothing to look at:", told["the events"])
	}
	for _, fact := range []string{`"tokenID"`, `"error":"invalid_grant"`, `"client":"shop.robot"`, `"grant":"TokenExchange"`, `"reason"`} {
		if !strings.Contains(said, fact) {
			t.Errorf("the log lacks %s", fact)
		}
	}
}
