package tokenservice_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"

func TestAClientWithASecretGetsAnAccessToken(t *testing.T) {
	s := begin(t, cart()...)
	for sentence, form := range map[string][]string{
		"by client_secret_basic": {"grant_type", "client_credentials"},
		"by client_secret_post":  {"grant_type", "client_credentials", "client_id", clientID, "client_secret", secret},
	} {
		got := s.granted(s.post("token", form...))
		want := map[string]any{
			"iss": issuer, "sub": "system:tokenclient:shop:cart", "aud": []any{audience, "https://other.example"}, "client_id": clientID,
			"scope": "read write", "team": "blue", "exp": float64(start().Add(10 * time.Minute).Unix()), "iat": float64(start().Unix()),
			"nbf": float64(start().Add(-time.Minute).Unix()), "jti": got["jti"],
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}

func TestAnAnswerIsAsRFC6749HasIt(t *testing.T) {
	s := begin(t, cart()...)
	got := s.post("token", "grant_type", "client_credentials", "scope", "read")
	if got.text("token_type") != "Bearer" || got.said["expires_in"] != 600.0 || got.text("scope") != "read" ||
		!strings.HasPrefix(got.text("refresh_token"), "ktr_") {
		t.Error(got.body)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	says, err := jose.Parse(got.text("access_token"))
	s.must(err)
	if says.Type != jose.TypeAccessToken {
		t.Errorf("typ is %q (RFC 9068 section 2.1)", says.Type)
	}
}

func TestAClientGetsNoMoreThanItMay(t *testing.T) {
	s := begin(t, cart()...)
	for sentence, c := range map[string]struct {
		form []string
		code string
	}{
		"one of its audiences":          {[]string{"audience", audience}, ""},
		"a resource":                    {[]string{"resource", audience}, ""},
		"an audience of others":         {[]string{"audience", "https://bank.example"}, "invalid_target"},
		"one of its own and another":    {[]string{"audience", audience, "resource", "https://bank.example"}, "invalid_target"},
		"one of its scopes":             {[]string{"scope", "write"}, ""},
		"a scope of others":             {[]string{"scope", "read admin"}, "invalid_scope"},
		"a grant that there is not":     {[]string{"grant_type", "password", "username", "x", "password", "y"}, "unsupported_grant_type"},
		"a JWT as a grant":              {[]string{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion", "a.b.c"}, "unsupported_grant_type"},
		"no grant":                      {[]string{"grant_type", ""}, "invalid_request"},
		"an exchange without a subject": {[]string{"grant_type", exchange}, "invalid_request"},
	} {
		form := c.form
		if form[0] != "grant_type" {
			form = append([]string{"grant_type", "client_credentials"}, form...)
		}
		got := s.post("token", form...)
		if c.code == "" {
			s.granted(got)
			continue
		}
		t.Log(sentence)
		s.refused(got, http.StatusBadRequest, c.code)
	}
	narrow := s.granted(s.post("token", "grant_type", "client_credentials", "audience", audience, "scope", "write"))
	if fmt.Sprint(narrow["aud"], " ", narrow["scope"]) != "["+audience+"] write" {
		t.Errorf("aud %v, scope %v", narrow["aud"], narrow["scope"])
	}
}

func TestTheKeysPolicyHoldsForEveryToken(t *testing.T) {
	s := begin(t, cart()...)
	s.key.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: `claims.scope != "read write"`, Message: `ask for "one" scope`}}
	s.write(s.key)
	got := s.post("token", "grant_type", "client_credentials")
	s.refused(got, http.StatusBadRequest, "unauthorized_client")
	if !strings.Contains(got.text("error_description"), "ask for 'one' scope") {
		t.Error(got.body)
	}
	s.granted(s.post("token", "grant_type", "client_credentials", "scope", "read"))
	s.key.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromSame
	s.write(s.key)
	s.refused(s.post("token", "grant_type", "client_credentials", "scope", "read"), http.StatusBadRequest, "unauthorized_client")
}

func TestWhoProvesNoClientLearnsNothing(t *testing.T) {
	s := begin(t, append(cart(), elsewhere()...)...)
	wrong := s.post("token", "grant_type", "client_credentials", "client_id", clientID, "client_secret", "kts_wrong")
	s.refused(wrong, http.StatusUnauthorized, "invalid_client")
	for sentence, form := range map[string][]string{
		"an unknown client":       {"client_id", "shop.nobody", "client_secret", secret},
		"no client ID":            {"client_id", "§", "client_secret", secret},
		"no secret":               {"client_id", clientID},
		"an assertion of nobody":  {"client_id", clientID, "client_assertion", "a.b.c", "client_assertion_type", jwtBearer},
		"a client of another key": {"client_id", "far.cart", "client_secret", secret},
	} {
		got := s.post("token", append([]string{"grant_type", "client_credentials"}, form...)...)
		s.refused(got, http.StatusUnauthorized, "invalid_client")
		if got.body != wrong.body {
			t.Errorf("%s: got %s, want %s", sentence, got.body, wrong.body)
		}
	}
}

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" //nolint:gosec // a name of RFC 7523, no credential

// pods is the client shop.pods of ServiceAccounts.
func pods() client.Object {
	c := cart()[0].(*v1alpha1.TokenClient)
	c.Name, c.UID = "pods", "pods"
	c.Spec.Authentication = v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{
		Names: []v1alpha1.ServiceAccountName{"till"},
	}}
	c.Spec.Claims = []v1alpha1.ClaimExpression{
		{Name: "role", Expression: `serviceAccount.labels["role"]`}, {Name: "pod", Expression: `serviceAccount.podName`},
	}
	return c
}

func TestAPodGetsATokenForThatOfItsServiceAccount(t *testing.T) {
	s := begin(t, pods())
	till := s.account("shop", "till")
	for sentence, form := range map[string][]string{
		"as the subject_token": {
			"grant_type", exchange, "client_id", "shop.pods", "subject_token", till,
			"subject_token_type", "urn:ietf:params:oauth:token-type:jwt",
		},
		"as the subject_token, and nothing else": {
			"anonymous", "", "grant_type", exchange, "subject_token", till, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt",
		},
		"as the subject_token and the client_assertion": {
			"grant_type", exchange, "client_assertion", till, "client_assertion_type", jwtBearer,
			"subject_token", till, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt",
		},
		"as the client_assertion": {
			"grant_type", "client_credentials", "client_id", "shop.pods", "client_assertion", till, "client_assertion_type", jwtBearer,
		},
	} {
		got := s.post("token", form...)
		claims := s.granted(got)
		if fmt.Sprint(claims["sub"], claims["client_id"], claims["role"], claims["pod"], claims["act"]) !=
			"system:serviceaccount:shop:tillshop.podscashiertill-1<nil>" {
			t.Errorf("%s: %v", sentence, claims)
		}
		if slices.Contains(form, exchange) && got.text("issued_token_type") != "urn:ietf:params:oauth:token-type:access_token" {
			t.Error(got.body)
		}
	}
	other := s.account("shop", "cleaner")
	s.refused(s.post("token", "anonymous", "", "grant_type", exchange, "subject_token", other,
		"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), http.StatusUnauthorized, "invalid_client")
	s.refused(s.post("token", "grant_type", exchange, "client_id", "shop.pods", "subject_token", other,
		"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), http.StatusUnauthorized, "invalid_client")
}

func TestAServiceActsForWhoeverHasSentATokenToIt(t *testing.T) {
	front := cart(func(c *v1alpha1.TokenClient) {
		c.Name, c.UID = "front", "front"
		c.Spec.Audiences = []v1alpha1.Audience{clientID}
		c.Spec.Scopes = []v1alpha1.Scope{"read", "admin"}
		c.Spec.AccessTokenDuration = &metav1.Duration{Duration: 8 * time.Minute}
	})
	s := begin(t, append(front, cart(func(c *v1alpha1.TokenClient) {
		c.Spec.Claims = []v1alpha1.ClaimExpression{{Name: "from", Expression: `has(request.subjectClaims) ? request.subjectClaims.client_id : "nobody"`}}
	})...)...)
	subject := s.post("token", "grant_type", "client_credentials", "client_id", "shop.front", "client_secret", secret)
	s.granted(subject)
	s.clock.Step(time.Minute)
	delegated := func(token string, more ...string) reply {
		return s.post("token", append([]string{
			"grant_type", exchange, "subject_token", token, "subject_token_type", "urn:ietf:params:oauth:token-type:access_token",
		}, more...)...)
	}
	got := delegated(subject.text("access_token"), "audience", audience)
	claims := s.granted(got)
	want := map[string]any{
		"sub": "system:tokenclient:shop:front", "act": map[string]any{"sub": "system:tokenclient:shop:cart"},
		"scope": "read", "from": "shop.front", "exp": float64(start().Add(8 * time.Minute).Unix()),
	}
	for name, value := range want {
		if diff := cmp.Diff(value, claims[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got.text("refresh_token") != "" {
		t.Error("what rests upon another token would outlive it by a refresh token")
	}
	own := s.post("token", "grant_type", "client_credentials").text("access_token")
	for sentence, c := range map[string]struct {
		token, code string
		more        []string
	}{
		"a token for another service":   {own, "invalid_grant", nil},
		"a refresh token":               {subject.text("refresh_token"), "invalid_grant", nil},
		"a scope that it had not":       {subject.text("access_token"), "invalid_scope", []string{"scope", "write"}},
		"an audience that it may not":   {subject.text("access_token"), "invalid_target", []string{"audience", "https://bank.example"}},
		"an actor":                      {subject.text("access_token"), "invalid_request", []string{"actor_token", own, "actor_token_type", "urn:ietf:params:oauth:token-type:jwt"}},
		"another type of token":         {subject.text("access_token"), "invalid_request", []string{"requested_token_type", "urn:ietf:params:oauth:token-type:id_token"}},
		"a JWT for another server":      {subject.text("access_token"), "invalid_request", []string{"requested_token_type", "urn:ietf:params:oauth:token-type:jwt"}},
		"garbage":                       {"a.b.c", "invalid_grant", nil},
		"a token of a plain ServiceJWT": {s.signed("JWT", nil), "invalid_grant", nil},
		"one of another issuer":         {s.signed("at+jwt", map[string]any{"iss": "https://else.example"}), "invalid_grant", nil},
		"one that has expired":          {s.signed("at+jwt", map[string]any{"exp": s.clock.Now().Unix()}), "invalid_grant", nil},
		"one that no key here signed":   {foreign(t), "invalid_grant", nil},
	} {
		t.Log(sentence)
		s.refused(delegated(c.token, c.more...), http.StatusBadRequest, c.code)
	}
	got = delegated(s.signed("at+jwt", nil), "audience", audience, "requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
	s.granted(got)
	if kind := got.text("issued_token_type"); kind != "urn:ietf:params:oauth:token-type:access_token" {
		t.Errorf("issued_token_type is %q", kind)
	}
}

// signed is a token of the issuer for shop.cart.
func (s *service) signed(typ string, changes map[string]any) string {
	s.t.Helper()
	signer, _ := s.ring.Signer()
	return forged(s.t, signer, typ, s.clock.Now(), changes)
}

func foreign(t testing.TB) string {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return forged(t, key, "at+jwt", start(), nil)
}

func forged(t testing.TB, key jose.PrivateKey, typ string, now time.Time, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": issuer, "sub": "alice", "aud": []string{clientID}, "client_id": "x", "jti": "1",
		"scope": "read", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jose.Sign(key, typ, text)
	if err != nil {
		t.Fatal(err)
	}
	return compact.Reveal()
}

func TestAClientOfAnotherLibraryWorksUnchanged(t *testing.T) {
	s := begin(t, cart()...)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }))
	defer server.Close()
	config := clientcredentials.Config{ClientID: clientID, ClientSecret: secret, TokenURL: server.URL + "/bank/main/token", Scopes: []string{"read"}}
	ctx := oauth2Context(t, server.Client())
	first, err := config.Token(ctx)
	s.must(err)
	again := oauth2.Config{ClientID: clientID, ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: config.TokenURL}}
	second, err := again.TokenSource(ctx, &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	s.must(err)
	for _, token := range []string{first.AccessToken, second.AccessToken} {
		if _, err := jose.Verify(token, s.ring.Public()); err != nil {
			t.Error(err)
		}
	}
}

func TestARevokedKeySignsNothing(t *testing.T) {
	s := begin(t, cart()...)
	s.granted(s.post("token", "grant_type", "client_credentials"))
	s.key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(s.ring.IDs()[0])}
	s.write(s.key)
	s.refused(s.post("token", "grant_type", "client_credentials"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestNothingIsSignedThatIsTakenBackInTheSameMoment(t *testing.T) {
	s := begin(t, cart()...)
	s.revoke("client", v1alpha1.TokenRevocationSpec{ClientID: clientID})
	got := s.post("token", "grant_type", "client_credentials")
	s.refused(got, http.StatusServiceUnavailable, "temporarily_unavailable")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	s.clock.Step(time.Second)
	s.granted(s.post("token", "grant_type", "client_credentials"))
}

func (s *service) revoke(name string, what v1alpha1.TokenRevocationSpec) {
	s.t.Helper()
	what.SigningKeyName = "main"
	s.write(&v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: name, CreationTimestamp: metav1.Time{Time: s.clock.Now()}}, Spec: what,
	})
}

func TestWithoutTheAPIServerASignerStopsInTime(t *testing.T) {
	s := begin(t, cart()...)
	s.granted(s.post("token", "grant_type", "client_credentials"))
	s.away = true
	s.clock.Step(spec.Operator{SignerStaleness: 5 * time.Minute}.SignerStaleness/2 - time.Second)
	s.granted(s.post("token", "grant_type", "client_credentials"))
	s.clock.Step(time.Second)
	s.refused(s.post("token", "grant_type", "client_credentials"), http.StatusServiceUnavailable, "temporarily_unavailable")
	s.away = false
	s.granted(s.post("token", "grant_type", "client_credentials"))
	s.age = 5*time.Minute + 1
	s.refused(s.post("token", "grant_type", "client_credentials"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestAnAPIServerThatDoesNotAnswerKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, cart()...)
		s.silent = true
		serverHangsUp, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s.refused(s.post("token", "grant_type", "client_credentials"), http.StatusServiceUnavailable, "temporarily_unavailable")
		if serverHangsUp.Err() != nil {
			t.Error("nobody is there any more who hears the answer")
		}
	})
}

func TestServiceAccountsAreNotRefusedWhileTheAPIServerIsAway(t *testing.T) {
	s := begin(t, pods())
	till := s.account("shop", "till")
	s.away = true
	s.refused(s.post("token", "grant_type", exchange, "client_id", "shop.pods", "subject_token", till,
		"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), http.StatusServiceUnavailable, "temporarily_unavailable")
}
