package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

// ordersAudience is what the tokens of the clients are for, and what newPolicy accepts.
const ordersAudience = "https://orders.example"

// keeping keeps refresh tokens there. A clock that stands still would let nobody ask for long within a limit.
func keeping(store string) setup {
	return func(o *app.Options, _ *rest.Config) {
		o.TokenStore = store
		o.TokenLimits.PerAddress, o.TokenLimits.PerClient = 0, 0
	}
}

// inFile is a token store for one replica.
func inFile(t *testing.T) string {
	t.Helper()
	return (&url.URL{Scheme: "sqlite", Path: filepath.Join(t.TempDir(), "tokens.db")}).String()
}

// refreshing lets a TokenClient have refresh tokens.
func refreshing(c *v1alpha1.TokenClient) {
	c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken}
	c.Spec.Audiences = []v1alpha1.Audience{ordersAudience}
	c.Spec.AccessTokenDuration = duration(life)
}

// caller asks the endpoints of the SigningKey "shop" as a TokenClient, and the TokenPolicy "api", as whoever has a token.
type caller struct {
	*verifier
	ns, id, secret string
}

// calls applies a TokenClient and is it from then on.
func (v *verifier) calls(c *v1alpha1.TokenClient) caller {
	v.w.t.Helper()
	v.w.create(c)
	v.w.clientIs(c.Namespace, c.Name, metav1.ConditionTrue, v1alpha1.ReasonServing)
	said := v.w.secret(c.Namespace, c.Name+"-client").Data
	return caller{verifier: v, ns: c.Namespace, id: string(said["client-id"]), secret: string(said["client-secret"])}
}

// protects applies the TokenPolicy "api" for tokens of the SigningKey "shop".
func (v *verifier) protects(ns string) {
	v.w.t.Helper()
	policy := newPolicy(ns, "api", "shop")
	v.w.apply(policy)
	v.w.policyIs(policy, v1alpha1.ReasonKeysAtHand)
}

// at asks another replica.
func (c caller) at(v *verifier) caller {
	c.verifier = v
	return c
}

// reply is the answer of an endpoint.
type reply struct {
	status     int
	retryAfter string
	Access     string `json:"access_token"`
	Refresh    string `json:"refresh_token"`
	Error      string `json:"error"`
	Active     bool   `json:"active"`
}

// is returns nil if the reply has that status and what belongs to it.
func (r reply) is(status int, code string) error {
	if r.status != status || r.Error != code || (r.retryAfter != "") != (status == http.StatusServiceUnavailable) {
		return fmt.Errorf("status %d, error %q, Retry-After %q; want %d and %q", r.status, r.Error, r.retryAfter, status, code)
	}
	return nil
}

func (r reply) granted() error { return r.is(http.StatusOK, "") }
func (r reply) refused() error { return r.is(http.StatusBadRequest, "invalid_grant") }
func (r reply) isForLater() error {
	return r.is(http.StatusServiceUnavailable, "temporarily_unavailable")
}

func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

// send posts to an endpoint; the client proves itself by its secret if it has one.
func (c caller) send(ctx context.Context, endpoint string, values url.Values) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+c.ns+"/shop/"+endpoint, strings.NewReader(values.Encode()))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.secret != "" {
		request.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	}
	response, err := c.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	got := reply{status: response.StatusCode, retryAfter: response.Header.Get("Retry-After")}
	if err = json.NewDecoder(response.Body).Decode(&got); errors.Is(err, io.EOF) {
		err = nil // RFC 7009 section 2.2: there is no body.
	}
	return got, errors.Join(err, response.Body.Close())
}

func (c caller) must(endpoint string, values url.Values) reply {
	c.w.t.Helper()
	got, err := c.send(c.w.t.Context(), endpoint, values)
	c.w.must(err)
	return got
}

// ask is client_credentials, and refresh is refresh_token.
func (c caller) ask() reply {
	c.w.t.Helper()
	return c.must("token", form("grant_type", "client_credentials"))
}

func (c caller) refresh(token string) reply {
	c.w.t.Helper()
	return c.must("token", form("grant_type", "refresh_token", "refresh_token", token))
}

func (c caller) introspect(token string) reply {
	c.w.t.Helper()
	return c.must("introspect", form("token", token))
}

// asked is ask, which must grant. A caller asks again when it is told to.
func (c caller) asked() (got reply) {
	c.w.t.Helper()
	c.w.eventually("a token is granted", func() error {
		got = c.ask()
		return got.granted()
	})
	return got
}

// isLetIn returns nil if the gate answers a token by that status.
func (c caller) isLetIn(token string, status int) error {
	if got, _ := c.present("/verify/"+c.ns+"/api", token); got != status {
		return fmt.Errorf("the gate answers %d, want %d", got, status)
	}
	return nil
}

// timesOf says from when on, until when, and by which key a token is good.
func timesOf(t *testing.T, compact string) (from, to time.Time, keyID string) {
	t.Helper()
	parsed, err := jwt.ParseSigned(compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	return claims.IssuedAt.Time(), claims.Expiry.Time(), parsed.Headers[0].KeyID
}

// idOf is the "jti" of a token.
func idOf(t *testing.T, compact string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	return claims.ID
}
