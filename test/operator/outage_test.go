package operator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

const outage = 5*time.Minute + time.Second

// credential is what somebody presents.
type credential struct {
	token string
	// until is when it is good no more; zero for what never was.
	until time.Time
	// unknownKey says that nobody knows the key, which can be newer than what is known.
	unknownKey bool
}

func (w *world) good(token string) credential {
	w.t.Helper()
	_, until, _ := timesOf(w.t, token)
	return credential{token: token, until: until}
}

// credentials are one of each kind, in a namespace whose API accepts tokens of "shop" and none of "other".
func (w *world) credentials(c, brief caller) map[string]credential {
	w.t.Helper()
	ns := c.ns
	withdrawn := c.asked().Access
	w.revoke(ns, "shop")
	revoked := c.asked().Access
	w.create(newRevocation(ns, "stolen", "shop", v1alpha1.TokenRevocationSpec{TokenID: idOf(w.t, revoked)}))
	w.eventually("the gate knows that it is revoked", func() error { return c.isLetIn(revoked, http.StatusUnauthorized) })
	live := c.asked()
	var mine jose.JSONWebKey
	w.must(mine.UnmarshalJSON(w.secret(ns, "shop-signing-key").Data["signing-key.jwk"]))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	stranger := jose.JSONWebKey{Key: private, KeyID: "stranger"}
	return map[string]credential{
		"a live token":                    w.good(live.Access),
		"a token that expires meanwhile":  w.good(brief.asked().Access),
		"a token of a revoked key":        {token: withdrawn, unknownKey: true},
		"a revoked token":                 {token: revoked},
		"a token of another issuer":       {token: w.access(ns, "other", time.Hour)},
		"a token for somebody else":       {token: w.signed(ns, "https://other.example", mine)},
		"a token of a key of one's own":   {token: w.signed(ns, ordersAudience, stranger), unknownKey: true},
		"one that names the issuer's key": {token: w.signed(ns, ordersAudience, jose.JSONWebKey{Key: stranger.Key, KeyID: mine.KeyID})},
		"a refresh token":                 {token: live.Refresh},
		"a client secret":                 {token: c.secret},
		"nothing":                         {},
	}
}

// signed is a token that says that it is of the issuer "shop".
func (w *world) signed(ns, audience string, by jose.JSONWebKey) string {
	w.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: by}, (&jose.SignerOptions{}).WithType("JWT"))
	w.must(err)
	compact, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": w.key(ns, "shop").Status.Issuer, "aud": audience, "sub": "alice", "exp": w.now().Add(life).Unix(), "iat": w.now().Unix(),
	}).Serialize()
	w.must(err)
	return compact
}

// judges has the gate judge every credential.
func (w *world) judges(when string, c caller, all map[string]credential) {
	w.t.Helper()
	ready := c.probe("/cluster-view") == nil
	for name, one := range all {
		want := http.StatusUnauthorized
		if w.now().Before(one.until) {
			want = http.StatusOK
		}
		got, _ := c.present("/verify/"+c.ns+"/api", one.token)
		if nobodyKnows := one.unknownKey && !ready && got == http.StatusServiceUnavailable; got != want && !nobodyKnows {
			w.t.Errorf("%s: %s: the gate answers %d, want %d", when, name, got, want)
		}
	}
}

// introspects has introspection judge every credential, which it may also say that it cannot.
func (w *world) introspects(when string, c caller, all map[string]credential) {
	w.t.Helper()
	for name, one := range all {
		if one.token == "" || name == "a refresh token" { // this one is active, for its client alone
			continue
		}
		got := c.introspect(one.token)
		if got.isForLater() != nil && (got.granted() != nil || got.Active != w.now().Before(one.until)) {
			w.t.Errorf("%s: %s: status %d, active is %t", when, name, got.status, got.Active)
		}
	}
}

// account is a Pod that asks for tokens with nothing but the token of its ServiceAccount.
func (w *world) account(v *verifier, ns string) (pod caller, token func() string) {
	w.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "pod"}}
	w.create(account, newClient(ns, "pod", "shop", func(c *v1alpha1.TokenClient) {
		c.Spec.Audiences = []v1alpha1.Audience{ordersAudience}
		c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantTokenExchange}
		c.Spec.Authentication = v1alpha1.ClientAuthentication{
			ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Names: []v1alpha1.ServiceAccountName{"pod"}},
		}
	}))
	w.clientIs(ns, "pod", metav1.ConditionTrue, v1alpha1.ReasonServing)
	return caller{verifier: v, ns: ns}, func() string {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{w.key(ns, "shop").Status.Issuer}}}
		w.must(w.c.SubResource("token").Create(w.t.Context(), account, request))
		return request.Status.Token
	}
}

// exchange is the token exchange of a ServiceAccount's token.
func (c caller) exchange(token string) reply {
	c.w.t.Helper()
	return c.must("token", exchanging(token))
}

func exchanging(token string) url.Values {
	return form("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", token,
		"subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
}

func TestFiveMinutesWithoutTheAPIServer(t *testing.T) {
	w, v := beginServing(t, keeping(inFile(t)))
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop"), newKey(ns, "other")}, nil)
	v.protects(ns)
	c := v.calls(newClient(ns, "cart", "shop", refreshing))
	brief := v.calls(newClient(ns, "brief", "shop", refreshing, func(c *v1alpha1.TokenClient) {
		c.Spec.AccessTokenDuration = duration(5 * time.Minute)
	}))
	pod, accountToken := w.account(v, ns)
	all := w.credentials(c, brief)
	kept, used, account := c.asked(), c.asked(), accountToken()
	newest := c.refresh(used.Refresh)
	w.must(pod.exchange(accountToken()).granted())
	w.judges("before", c, all)
	w.introspects("before", c, all)

	w.op.requests.cut(true)
	before, began := allSeries(t), w.now()
	w.must(pod.exchange(account).isForLater())
	goes := w.outage(c, newest, all)
	for w.now().Before(began.Add(outage)) {
		w.op.clock.Step(min(30*time.Second, began.Add(outage).Sub(w.now())))
		goes.on(w.now().Sub(began))
	}
	w.must(c.ask().isForLater(), c.refresh(kept.Refresh).isForLater(), pod.exchange(account).isForLater())
	w.must(c.introspect(kept.Refresh).isForLater(), c.must("revoke", form("token", kept.Refresh)).isForLater())
	if err := w.admits(ns, all["a revoked token"].token); err == nil {
		t.Error("admission lets a revoked token in")
	}
	w.tellsOfOutage(v, before, began)
	// Others can still reach the API server.
	w.create(newRevocation(ns, "late", "shop", v1alpha1.TokenRevocationSpec{TokenID: idOf(t, kept.Access)}))
	w.must(w.c.Delete(t.Context(), w.client(ns, "brief")))

	w.op.requests.cut(false)
	w.eventually("the replica hears the API server again", func() error {
		w.op.clock.Step(time.Second)
		w.judges("as it comes back", c, all)
		return v.isReady()
	})
	w.eventually("what was revoked meanwhile is let in no more", func() error { return c.isLetIn(kept.Access, http.StatusUnauthorized) })
	w.eventually("who was shut out meanwhile gets nothing", func() error { return brief.ask().is(http.StatusUnauthorized, "invalid_client") })
	w.judges("after", c, all)
	w.introspects("after", c, all)
	w.must(c.isLetIn(c.asked().Access, http.StatusOK), c.isLetIn(pod.exchange(account).Access, http.StatusOK))
	w.must(c.refresh(kept.Refresh).granted(), c.refresh(kept.Refresh).refused(), c.refresh(goes.newest.Refresh).granted())
}

// outageOf follows what is answered in the course of an outage.
type outageOf struct {
	w      *world
	c      caller
	all    map[string]credential
	newest reply
}

func (w *world) outage(c caller, newest reply, all map[string]credential) *outageOf {
	return &outageOf{w: w, c: c, newest: newest, all: all}
}

// on asks for everything: a signer that hears nothing signs for a while, and no longer than its staleness.
func (o *outageOf) on(since time.Duration) {
	o.w.t.Helper()
	when := fmt.Sprintf("%s after the API server went away", since)
	o.w.judges(when, o.c, o.all)
	o.w.introspects(when, o.c, o.all)
	got := o.c.refresh(o.newest.Refresh)
	switch {
	case got.granted() == nil && since < staleness:
		o.newest = got
		o.w.must(o.c.isLetIn(got.Access, http.StatusOK))
	case got.isForLater() != nil || since < staleness/3:
		o.w.t.Errorf("%s: %v", when, got.granted())
	}
	if asked := o.c.ask(); asked.status != got.status {
		o.w.t.Errorf("%s: a refresh has status %d, client_credentials %d", when, got.status, asked.status)
	}
}

// tellsOfOutage looks at readiness and metrics.
func (w *world) tellsOfOutage(v *verifier, before map[string]float64, began time.Time) {
	w.t.Helper()
	if v.probe("/cluster-view") == nil || v.isReady() == nil {
		w.t.Error("the replica is ready")
	}
	w.must(v.probe("/token-store"))
	after := allSeries(w.t)
	if heard := after["keyturn_cluster_view_timestamp_seconds{}"]; heard == 0 || heard > float64(began.Unix()) {
		w.t.Errorf("the view is of %v, and the API server went away at %d", heard, began.Unix())
	}
	for _, series := range []string{
		`keyturn_token_endpoint_requests_total{endpoint="token",grant="ClientCredentials",status="503"}`,
		`keyturn_token_endpoint_requests_total{endpoint="token",grant="RefreshToken",status="503"}`,
		`keyturn_token_endpoint_requests_total{endpoint="token",grant="TokenExchange",status="503"}`,
		`keyturn_token_endpoint_requests_total{endpoint="introspect",grant="",status="503"}`,
	} {
		if after[series] <= before[series] {
			w.t.Errorf("%s was %v and is %v", series, before[series], after[series])
		}
	}
}
