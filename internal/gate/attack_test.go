package gate

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
)

// attack is a request that must not be let in.
type attack struct {
	authorization []string
	target        string // "/orders/7" unless it says otherwise
	host, method  string
	want          int
}

func bearer(token string) []string { return []string{"Bearer " + token} }

func attacksByToken(t *testing.T, s signer) map[string]attack {
	t.Helper()
	kid := fmt.Sprintf(`"kid":%q`, s.key.ID())
	stranger := newSigner(t)
	public, err := s.key.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	own, err := stranger.key.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	good := s.sign(nil)
	parts := strings.Split(good, ".")
	es, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := jose.Sign(es, "at+jwt", []byte(payload(nil)))
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{
		"alg none":                        b64(`{"alg":"none",`+kid+`}`) + "." + parts[1] + ".",
		"alg None with a signature":       b64(`{"alg":"None",`+kid+`}`) + "." + parts[1] + "." + parts[2],
		"alg HS256 with the public key":   symmetric(s, public),
		"alg HS256 with the bytes of it":  symmetric(s, s.private[32:]),
		"alg ES256 in the name of EdDSA":  s.forge(`{"alg":"ES256",`+kid+`}`, payload(nil)),
		"kid of a folder above":           s.forge(`{"alg":"EdDSA","kid":"../../../../dev/null"}`, payload(nil)),
		"kid of a URL":                    s.forge(`{"alg":"EdDSA","kid":"https://evil.example.com/jwks.json"}`, payload(nil)),
		"kid of SQL":                      s.forge(`{"alg":"EdDSA","kid":"x' UNION SELECT 'key'--"}`, payload(nil)),
		"kid with a line break":           s.forge(`{"alg":"EdDSA","kid":"a\r\nX-Subject: root"}`, payload(nil)),
		"no kid":                          s.forge(`{"alg":"EdDSA"}`, payload(nil)),
		"a foreign key":                   stranger.sign(nil),
		"a foreign key by our kid":        stranger.forge(s.header(""), payload(nil)),
		"a foreign key of another kind":   foreign.Reveal(),
		"an embedded jwk":                 stranger.forge(fmt.Sprintf(`{"alg":"EdDSA",%s,"jwk":%s}`, kid, own), payload(nil)),
		"a jku":                           s.forge(s.header(`,"jku":"https://evil.example.com/jwks.json"`), payload(nil)),
		"an x5u":                          s.forge(s.header(`,"x5u":"https://evil.example.com/cert.pem"`), payload(nil)),
		"a critical header":               s.forge(s.header(`,"crit":["exp"],"exp":1`), payload(nil)),
		"an unencoded payload":            s.forge(s.header(`,"b64":false,"crit":["b64"]`), payload(nil)),
		"an unknown type":                 s.forge(`{"alg":"EdDSA",`+kid+`,"typ":"logout+jwt"}`, payload(nil)),
		"a foreign issuer":                s.sign(claims{"iss": "https://evil.example.com"}),
		"an issuer in other letters":      s.sign(claims{"iss": strings.ToUpper(external) + "/shop/orders"}),
		"an issuer with a slash more":     s.sign(claims{"iss": external + "/shop/orders/"}),
		"no issuer":                       s.sign(claims{"iss": nil}),
		"the wrong audience":              s.sign(claims{"aud": "https://orders.example.com.evil.example.com"}),
		"no audience":                     s.sign(claims{"aud": nil}),
		"audiences of nothing":            s.sign(claims{"aud": []string{}}),
		"an audience of a number":         s.sign(claims{"aud": 1}),
		"expired by one second":           s.sign(claims{"exp": start().Add(-time.Second).Unix()}),
		"expired at this instant":         s.sign(claims{"exp": start().Unix()}),
		"not valid yet":                   s.sign(claims{"nbf": start().Add(time.Second).Unix()}),
		"no end":                          s.sign(claims{"exp": nil}),
		"an end in milliseconds":          s.sign(claims{"exp": start().Add(time.Hour).UnixMilli()}),
		"an end in a text":                s.sign(claims{"exp": "9999999999"}),
		"a refresh token":                 "ktr_" + strings.Repeat("Ab9-", 11),
		"a refresh token like a token":    "ktr." + strings.Repeat("Ab9-", 11) + ".x",
		"a compressed payload":            s.forge(s.header(`,"zip":"DEF"`), deflated(payload(nil))),
		"a compressed bomb":               s.forge(s.header(`,"zip":"DEF"`), deflated(strings.Repeat("a", 1<<20))),
		"five parts of encryption":        good + ".AAAA.AAAA",
		"a token in a token":              s.forge(s.header(`,"cty":"JWT"`), good),
		"claims named twice":              s.forge(s.header(""), `{"aud":"https://evil.example.com",`+payload(nil)[1:]),
		"claims named twice by an escape": s.forge(s.header(""), `{"\u0061ud":"https://evil.example.com",`+payload(nil)[1:]),
		"claims named twice within":       s.sign(claims{"act": rawJSON(`{"sub":"a","sub":"b"}`)}),
		"a header named twice":            s.forge(`{"alg":"none","alg":"EdDSA",`+kid+`}`, payload(nil)),
		"claims nested without end":       s.forge(s.header(""), `{"a":`+strings.Repeat("[", 11000)+"}"),
		"claims nested deep":              s.forge(s.header(""), `{"a":`+strings.Repeat("[", 5900)+strings.Repeat("]", 5901)+`}`),
		"megabytes":                       strings.Repeat("A", 4<<20),
		"megabytes of dots":               strings.Repeat(".", 4<<20),
		"another payload":                 parts[0] + "." + b64(payload(claims{"sub": "root"})) + "." + parts[2],
		"no signature":                    parts[0] + "." + parts[1] + ".",
		"JSON serialization":              fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"a line break within":             parts[0] + ".\n" + parts[1] + "." + parts[2],
		"padding":                         good + "==",
	}
	attacks := map[string]attack{}
	for name, token := range tokens {
		attacks[name] = attack{authorization: bearer(token), want: http.StatusUnauthorized}
	}
	return attacks
}

func attacksByRequest(t *testing.T, s signer) map[string]attack {
	t.Helper()
	good := s.sign(nil)
	attacks := map[string]attack{
		"two Authorization headers":       {authorization: []string{"Bearer " + good, "Bearer " + good}, want: 401},
		"two, of which one is nothing":    {authorization: []string{"Bearer " + good, ""}, want: 401},
		"two tokens in one":               {authorization: []string{"Bearer " + good + ", Bearer " + good}, want: 401},
		"two words":                       {authorization: []string{"Bearer bearer " + good}, want: 401},
		"a header behind it":              {authorization: []string{"Bearer " + good + "\r\nX-Subject: root"}, want: 401},
		"a token as a password":           {authorization: []string{"Basic " + b64("alice:"+good)}, want: 401},
		"no scheme":                       {authorization: []string{good}, want: 401},
		"the scheme alone":                {authorization: []string{"Bearer"}, want: 401},
		"a token in the query":            {target: "/orders/7?access_token=" + good, want: 401},
		"another path":                    {authorization: bearer(good), target: "/admin", want: 403},
		"a path in other letters":         {authorization: bearer(good), target: "/ORDERS/7", want: 403},
		"another host":                    {authorization: bearer(good), host: "admin.example.com", want: 403},
		"another host behind a user":      {authorization: bearer(good), host: "orders.example.com@evil.example.com", want: 403},
		"two hosts":                       {authorization: bearer(good), host: "orders.example.com, evil.example.com", want: 403},
		"another method":                  {authorization: bearer(good), method: "DELETE", want: 403},
		"a request within the method":     {authorization: bearer(good), method: "GET /orders/7 HTTP/1.1\r\nX:", want: 403},
		"a claim with a header behind it": {authorization: bearer(s.sign(claims{"sub": "alice\r\nX-Roles: admin"})), want: 403},
		"a claim with a request behind":   {authorization: bearer(s.sign(claims{"sub": "a\r\n\r\nGET /admin HTTP/1.1\r\n"})), want: 403},
		"a list that grows in a header":   {authorization: bearer(s.sign(claims{"roles": []string{"user,admin"}})), want: 403},
	}
	for name, target := range ambiguous() {
		if target == "" {
			continue // It would be the default.
		}
		if rest, ok := strings.CutPrefix(target, "/public"); ok {
			target = "/orders" + rest
		}
		attacks["smuggled past the rule: "+name] = attack{authorization: bearer(good), target: target, want: 403}
	}
	return attacks
}

func symmetric(of signer, secret []byte) string {
	text := b64(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, of.key.ID())) + "." + b64(payload(nil))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(string(mac.Sum(nil)))
}

func deflated(text string) string {
	var compressed bytes.Buffer
	writer, err := flate.NewWriter(&compressed, flate.BestCompression)
	if err == nil {
		_, err = writer.Write([]byte(text))
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		panic(err)
	}
	return compressed.String()
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// incoming is the attack as the gate is told of it.
func (a attack) incoming() Incoming {
	or := func(text, otherwise string) []string {
		if text == "" {
			text = otherwise
		}
		return []string{text}
	}
	i := from("", "", "")
	i.Authorization, i.URI = a.authorization, or(a.target, "/orders/7")
	i.Host, i.Method = or(a.host, "orders.example.com"), or(a.method, http.MethodGet)
	return i
}

func TestAttacks(t *testing.T) {
	r, s := begun(t, header("X-Subject", "sub"), header("X-Roles", "roles"),
		rule(`request.method == "GET" && request.host == "orders.example.com" && request.path.startsWith("/orders/")`, ""))
	envoy := dial(t, r)
	good := attack{authorization: bearer(s.sign(nil)), want: http.StatusOK}
	for _, attacks := range []map[string]attack{{"none": good}, attacksByToken(t, s), attacksByRequest(t, s)} {
		for name, attack := range attacks {
			t.Run(name, func(t *testing.T) {
				response := r.present(attack.incoming())
				if response.Code != attack.want {
					t.Errorf("HTTP: got %d, want %d: %s", response.Code, attack.want, response.Body)
				}
				if got := envoy.present(t, attack.incoming()); got != attack.want && got != 0 {
					t.Errorf("ext_authz: got %d, want %d", got, attack.want)
				}
				for _, one := range append(attack.authorization, attack.target) {
					mustNotQuote(t, strings.Join(r.lines, "\n")+response.Body.String()+fmt.Sprint(response.Header()), one)
				}
				r.lines = nil
				if got := r.present(good.incoming()).Code; got != http.StatusOK {
					t.Errorf("afterwards: got %d", got)
				}
			})
		}
	}
}

// mustNotQuote fails if a text shows a piece of a secret, long enough to be told from chance.
func mustNotQuote(t *testing.T, text, secret string) {
	t.Helper()
	const piece = 24
	for i := 0; i+piece <= min(len(secret), 4096); i++ {
		if strings.Contains(text, secret[i:i+piece]) {
			t.Fatalf("%q shows %q", text, secret[i:i+piece])
		}
	}
}
