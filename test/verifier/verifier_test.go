package verifier_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/test/verifier"
)

const (
	issuer   = "https://issuer.example"
	audience = "https://api.example"
	keep     = 10 * time.Second
)

// at is an instant of the tests, in seconds after they began.
func at(seconds int) time.Time {
	return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

func newKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: string(jose.ES256)}
}

// sign makes a token that is alive from second 0 to second 100, changed by edit.
func sign(t *testing.T, key jose.JSONWebKey, edit func(*jwt.Claims)) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.Claims{
		Issuer: issuer, Audience: jwt.Audience{audience}, IssuedAt: jwt.NewNumericDate(at(0)), Expiry: jwt.NewNumericDate(at(100)),
	}
	if edit != nil {
		edit(&claims)
	}
	compact, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func jwksOf(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, key.Public())
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// mustSay fails unless the error says that, or is nil where nothing is wanted.
func mustSay(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("the verifier says %v, want %q", err, want)
	}
}

func TestATokenIsRefusedForWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	key, stranger := newKey(t, "one"), newKey(t, "one")
	tests := map[string]struct {
		token string
		now   int
		want  string
	}{
		"nothing is wrong":            {token: sign(t, key, nil), now: 1},
		"it expires now":              {token: sign(t, key, nil), now: 101, want: "expired"},
		"it is not valid yet":         {token: sign(t, key, func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(at(5)) }), now: 1, want: "not valid yet"},
		"somebody else issued it":     {token: sign(t, key, func(c *jwt.Claims) { c.Issuer = "https://else.example" }), now: 1, want: "issuer"},
		"it is for somebody else":     {token: sign(t, key, func(c *jwt.Claims) { c.Audience = jwt.Audience{"else"} }), now: 1, want: "audience"},
		"the key is not in the JWKS":  {token: sign(t, newKey(t, "two"), nil), now: 1, want: "key two is in the JWKS fetched 0s ago 0 times"},
		"another key has signed":      {token: sign(t, stranger, nil), now: 1, want: "signature"},
		"it is not a token at all":    {token: "x", now: 1, want: "parse token"},
		"the file it was in is empty": {token: "", now: 1, want: "parse token"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := jwksOf(t, key)
			v := verifier.Verifier{Issuer: issuer, Audience: audience, Keep: keep, Source: func(context.Context, time.Time) ([]byte, time.Duration, error) {
				return set, keep, nil
			}}
			mustSay(t, v.Verify(t.Context(), at(test.now), test.token), test.want)
		})
	}
}

func TestAJWKSThatCannotBeJudgedByIsRefused(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		jwks []byte
		want string
	}{
		"it is empty":               {jwks: jwksOf(t), want: "the JWKS is empty"},
		"it is no JSON":             {jwks: []byte("{"), want: "read JWKS"},
		"it holds a private key":    {jwks: private, want: "the JWKS holds a private key"},
		"two keys have the same ID": {jwks: jwksOf(t, key, newKey(t, "one")), want: "key one is in the JWKS fetched 0s ago 2 times"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verifier.Verifier{Issuer: issuer, Audience: audience, Keep: keep, Source: func(context.Context, time.Time) ([]byte, time.Duration, error) {
				return test.jwks, keep, nil
			}}
			mustSay(t, v.Verify(t.Context(), at(1), sign(t, key, nil)), test.want)
		})
	}
}

// The source below has key one until second 4, then key two, and cannot be reached from second 20 on.
func TestASetIsKeptAsLongAsItMayBe(t *testing.T) {
	t.Parallel()
	one, two := newKey(t, "one"), newKey(t, "two")
	first, second := jwksOf(t, one), jwksOf(t, two)
	tests := map[string]struct {
		fresh   time.Duration
		refetch bool
		ahead   bool
		visits  []int // tokens of key two are judged at these seconds; the first visit is always at second 1, with key one
		want    []string
	}{
		"a cached set does not know a new key":             {fresh: keep, visits: []int{5, 10}, want: []string{"key two", "key two"}},
		"when its time is over the new one is fetched":     {fresh: keep, visits: []int{11}, want: []string{""}},
		"it is fetched again when it is no longer fresh":   {fresh: 3 * time.Second, visits: []int{5}, want: []string{""}},
		"it is never kept longer than was declared":        {fresh: time.Hour, visits: []int{11}, want: []string{""}},
		"what is never fresh is fetched each time":         {visits: []int{5, 16, 22, 26}, want: []string{"", "", "", "fetch JWKS: away"}},
		"it is fetched in time, if wanted":                 {fresh: 8 * time.Second, ahead: true, visits: []int{5}, want: []string{""}},
		"an unknown key is a reason to fetch, if wanted":   {fresh: keep, refetch: true, visits: []int{5}, want: []string{""}},
		"no longer fresh, it serves while none can be had": {fresh: 3 * time.Second, visits: []int{16, 22, 25, 26}, want: []string{"", "", "", "fetch JWKS: away"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verifier.Verifier{Issuer: issuer, Audience: audience, Keep: keep, Refetch: test.refetch, Ahead: test.ahead}
			v.Source = func(_ context.Context, now time.Time) ([]byte, time.Duration, error) {
				switch {
				case now.Before(at(4)):
					return first, test.fresh, nil
				case now.Before(at(20)):
					return second, test.fresh, nil
				default:
					return nil, 0, errors.New("away")
				}
			}
			mustSay(t, v.Verify(t.Context(), at(1), sign(t, one, nil)), "")
			for i, second := range test.visits {
				mustSay(t, v.Verify(t.Context(), at(second), sign(t, two, nil)), test.want[i])
			}
		})
	}
}

func TestDiscoveryFollowsTheConfigurationToTheJWKS(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		configured   string // the issuer in the configuration, that of the server unless set
		cacheControl string
		jwksStatus   int
		fresh        time.Duration
		want         string
	}{
		"max-age says how long the set is fresh": {cacheControl: "public, max-age=7", fresh: 7 * time.Second},
		"another issuer's configuration":         {configured: issuer, cacheControl: "max-age=7", want: "is that of"},
		"no-cache says that it never is":         {cacheControl: "no-cache"},
		"nothing says how long it is fresh":      {cacheControl: "public", want: "does not say how long"},
		"a max-age that is no number":            {cacheControl: "max-age=soon", want: "read max-age"},
		"no JWKS":                                {jwksStatus: http.StatusNotFound, want: "404"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			server := httptest.NewTLSServer(mux)
			defer server.Close()
			mux.HandleFunc("/ns/key/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
				configured := server.URL + "/ns/key"
				if test.configured != "" {
					configured = test.configured
				}
				_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, configured, server.URL+"/jwks")
			})
			mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", test.cacheControl)
				if test.jwksStatus != 0 {
					w.WriteHeader(test.jwksStatus)
				}
				_, _ = w.Write([]byte("the set"))
			})
			text, fresh, err := verifier.Discovery(server.Client(), server.URL+"/ns/key")(t.Context(), at(0))
			mustSay(t, err, test.want)
			if err == nil && (string(text) != "the set" || fresh != test.fresh) {
				t.Errorf("fetched %q, fresh for %s; want the set, fresh for %s", text, fresh, test.fresh)
			}
		})
	}
}
