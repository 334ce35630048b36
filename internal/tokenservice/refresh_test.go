package tokenservice_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// first asks for an access token, and returns the refresh token that comes with it.
func (s *service) first(form ...string) string {
	s.t.Helper()
	got := s.post("token", append([]string{"grant_type", "client_credentials"}, form...)...)
	s.granted(got)
	return got.text("refresh_token")
}

func (s *service) refresh(token string, form ...string) reply {
	s.t.Helper()
	return s.post("token", append([]string{"grant_type", "refresh_token", "refresh_token", token}, form...)...)
}

func (s *service) unusable(r reply) {
	s.t.Helper()
	s.refused(r, http.StatusBadRequest, "invalid_grant")
}

func TestARefreshTokenIsUsedOnceAndReplaced(t *testing.T) {
	s := begin(t, cart()...)
	token := s.first("scope", "read", "audience", audience)
	for range 3 {
		s.clock.Step(time.Hour)
		got := s.refresh(token)
		claims := s.granted(got)
		if fmt.Sprint(claims["sub"], claims["scope"], claims["team"]) != "system:tokenclient:shop:cartreadblue" {
			t.Errorf("it says %v", claims)
		}
		if next := got.text("refresh_token"); next == token || next == "" {
			t.Error("the refresh token was not replaced")
		}
		token = got.text("refresh_token")
	}
}

func TestASecondUseRevokesAllThatCameOfTheGrant(t *testing.T) {
	s := begin(t, cart()...)
	stolen, other := s.first(), s.first()
	newest := s.refresh(stolen).text("refresh_token")
	s.unusable(s.refresh(stolen))
	s.unusable(s.refresh(newest))
	s.granted(s.refresh(other))
	select {
	case event := <-s.events.Events:
		if !strings.Contains(event, v1alpha1.ReasonRefreshTokenReused) || !strings.Contains(event, "Warning") {
			t.Error(event)
		}
	default:
		t.Error("there is no event")
	}
	if len(s.events.Events) > 0 {
		t.Error("there is a second event:", <-s.events.Events)
	}
}

func TestARefreshTokenGivesNoMoreThanWasGranted(t *testing.T) {
	s := begin(t, cart()...)
	token := s.first("scope", "read", "audience", audience)
	s.refused(s.refresh(token, "scope", "read write"), http.StatusBadRequest, "invalid_scope")
	s.refused(s.refresh(token, "audience", "https://other.example"), http.StatusBadRequest, "invalid_target")
	got := s.refresh(token, "scope", "read")
	s.granted(got)
	whole := s.first()
	narrowed := s.refresh(whole, "scope", "write")
	if claims := s.granted(narrowed); claims["scope"] != "write" {
		t.Errorf("scope is %v", claims["scope"])
	}
	// RFC 6749 section 6: to ask for less once takes nothing away.
	if claims := s.granted(s.refresh(narrowed.text("refresh_token"))); claims["scope"] != "read write" {
		t.Errorf("scope is %v", claims["scope"])
	}
}

func TestWhatTheClientMayNotAnyMoreIsNotRefreshed(t *testing.T) {
	for sentence, change := range map[string]func(*v1alpha1.TokenClient){
		"the grant":          func(c *v1alpha1.TokenClient) { c.Spec.GrantTypes = c.Spec.GrantTypes[:1] },
		"every audience":     func(c *v1alpha1.TokenClient) { c.Spec.Audiences = []v1alpha1.Audience{"https://new.example"} },
		"another client now": func(c *v1alpha1.TokenClient) { c.UID = "anew" },
	} {
		s := begin(t, cart()...)
		token := s.first()
		s.write(cart(change)[0])
		t.Log(sentence)
		if got := s.refresh(token); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", sentence, got.status, got.body)
		}
	}
	s := begin(t, cart()...)
	token := s.first()
	s.write(cart(func(c *v1alpha1.TokenClient) { c.Spec.Scopes = []v1alpha1.Scope{"write", "new"} })[0])
	if claims := s.granted(s.refresh(token)); claims["scope"] != "write" {
		t.Errorf("scope is %v: want what was granted and still may be", claims["scope"])
	}
}

func TestARefreshTokenIsOfUseToItsClientAlone(t *testing.T) {
	thief := cart(func(c *v1alpha1.TokenClient) { c.Name, c.UID = "thief", "thief" })
	s := begin(t, append(thief, cart()...)...)
	token := s.first()
	s.unusable(s.refresh(token, "client_id", "shop.thief", "client_secret", secret))
	s.granted(s.refresh(token))
	for sentence, text := range map[string]string{
		"an unknown one": "ktr_" + strings.Repeat("A", 64), "garbage": "x", "a JWT": s.signed("at+jwt", nil), "none": " ",
	} {
		t.Log(sentence)
		s.unusable(s.refresh(text))
	}
}

func TestARefreshTokenOfAServiceAccountIsOfUseToItAlone(t *testing.T) {
	object := pods().(*v1alpha1.TokenClient)
	object.Spec.Authentication.ServiceAccounts.Names = []v1alpha1.ServiceAccountName{"till", "desk"}
	s := begin(t, object)
	till, desk := s.account("shop", "till"), s.account("shop", "desk")
	as := func(account string, form ...string) reply {
		return s.post("token", append(form, "client_id", "shop.pods", "client_assertion", account, "client_assertion_type", jwtBearer)...)
	}
	got := as(till, "grant_type", "client_credentials")
	s.granted(got)
	token := got.text("refresh_token")
	s.unusable(as(desk, "grant_type", "refresh_token", "refresh_token", token))
	got = as(till, "grant_type", "refresh_token", "refresh_token", token)
	s.granted(got)
	token = got.text("refresh_token")
	s.refused(s.post("token", "grant_type", "refresh_token", "refresh_token", token, "client_id", "shop.pods"),
		http.StatusUnauthorized, "invalid_client")
	again := s.accountOf("shop", "till", "another")
	s.unusable(as(again, "grant_type", "refresh_token", "refresh_token", token))
	delete(s.accounts, again)
	s.clock.Step(11 * time.Second) // What the API server has said is remembered for ten.
	s.refused(as(again, "grant_type", "refresh_token", "refresh_token", token), http.StatusUnauthorized, "invalid_client")
}

// TestAGrantThatSomebodyHasWrittenIntoTheDatabaseIsForNobodyElse: the subject of a token is never what the database says alone.
func TestAGrantThatSomebodyHasWrittenIntoTheDatabaseIsForNobodyElse(t *testing.T) {
	s := begin(t, cart()...)
	for subject, want := range map[string]int{
		"system:tokenclient:shop:cart": http.StatusOK, "system:tokenclient:shop:bank": http.StatusBadRequest,
		"system:serviceaccount:shop:admin": http.StatusBadRequest, "alice": http.StatusBadRequest, "": http.StatusBadRequest,
	} {
		written, err := s.store.Create(t.Context(), refresh.Grant{
			Issuer: refresh.Object{Namespace: "bank", Name: "main", UID: "key"}, Client: refresh.Object{Namespace: "shop", Name: "cart", UID: "cart"},
			ClientID: clientID, Subject: subject, Audiences: []string{audience},
		}, refresh.Lifetimes{Idle: time.Hour, Absolute: time.Hour}, s.clock.Now())
		s.must(err)
		if got := s.refresh(written.Token.Reveal()); got.status != want {
			t.Errorf("a grant for %q: got %d %s, want %d", subject, got.status, got.body, want)
		}
	}
}

func TestRefreshTokensExpire(t *testing.T) {
	s := begin(t, cart(func(c *v1alpha1.TokenClient) {
		c.Spec.RefreshToken = &v1alpha1.RefreshTokenSpec{
			IdleDuration: &metav1.Duration{Duration: time.Hour}, AbsoluteDuration: &metav1.Duration{Duration: 2 * time.Hour},
		}
	})...)
	idle := s.first()
	s.clock.Step(time.Hour - time.Second)
	s.granted(s.refresh(idle))
	idle = s.first()
	s.clock.Step(time.Hour)
	s.unusable(s.refresh(idle))
	token := s.first()
	for range 3 {
		s.clock.Step(30 * time.Minute)
		got := s.refresh(token)
		s.granted(got)
		token = got.text("refresh_token")
	}
	s.clock.Step(30 * time.Minute)
	s.unusable(s.refresh(token))
}

func TestARevocationEndsTheGrantsBeforeIt(t *testing.T) {
	for sentence, what := range map[string]v1alpha1.TokenRevocationSpec{
		"of the client":  {ClientID: clientID},
		"of the subject": {Subject: "system:tokenclient:shop:cart"},
		"of everything":  {IssuedBefore: &metav1.Time{Time: start().Add(time.Second)}},
	} {
		s := begin(t, cart()...)
		before := s.first()
		s.clock.Step(time.Minute)
		s.revoke("all", what)
		s.clock.Step(time.Second)
		t.Log(sentence)
		if told := s.post("introspect", "token", before); told.said["active"] != false {
			t.Errorf("introspection: %s", told.body)
		}
		s.unusable(s.refresh(before))
		s.granted(s.refresh(s.first()))
	}
}

func TestWhileTheStoreIsAwayNothingIsLost(t *testing.T) {
	s := begin(t, cart()...)
	token := s.first()
	s.store.away = true
	s.refused(s.refresh(token), http.StatusServiceUnavailable, "temporarily_unavailable")
	without := s.post("token", "grant_type", "client_credentials")
	s.granted(without)
	if without.text("refresh_token") != "" || !strings.Contains(s.log(), "no refresh token is issued") {
		t.Error(without.body)
	}
	s.store.away = false
	s.granted(s.refresh(token))
}

func TestARefreshTokenIsNotUsedWhereNothingCanBeSigned(t *testing.T) {
	s := begin(t, cart()...)
	token := s.first()
	s.away = true
	s.clock.Step(3 * time.Minute)
	s.refused(s.refresh(token), http.StatusServiceUnavailable, "temporarily_unavailable")
	s.away = false
	s.granted(s.refresh(token))
}

func TestWithoutAStoreThereAreNoRefreshTokens(t *testing.T) {
	s := begin(t, cart()...)
	s.options.Families = nil
	s.serve()
	if token := s.first(); token != "" {
		t.Error("a refresh token was issued")
	}
	s.unusable(s.refresh("ktr_" + strings.Repeat("A", 64)))
	if got := s.post("revoke", "token", "ktr_"+strings.Repeat("A", 64)); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestIntrospectionTellsWhatATokenIsWorth(t *testing.T) {
	other := cart(func(c *v1alpha1.TokenClient) { c.Name, c.UID = "other", "other" })
	s := begin(t, append(other, cart()...)...)
	got := s.post("token", "grant_type", "client_credentials")
	access, refresh := got.text("access_token"), got.text("refresh_token")
	look := func(token string, form ...string) reply {
		s.t.Helper()
		r := s.post("introspect", append([]string{"token", token}, form...)...)
		if r.status != http.StatusOK {
			s.t.Fatalf("got %d %s", r.status, r.body)
		}
		return r
	}
	as := []string{"client_id", "shop.other", "client_secret", secret}
	told := look(access, as...)
	if told.said["active"] != true || told.text("client_id") != clientID || told.text("scope") != "read write" ||
		told.said["exp"] != float64(start().Add(10*time.Minute).Unix()) || told.text("iss") != issuer {
		t.Error(told.body)
	}
	if told := look(refresh); told.said["active"] != true || told.text("client_id") != clientID {
		t.Error(told.body)
	}
	s.refused(s.post("introspect", "token", access, "client_id", clientID, "client_secret", "x"), http.StatusUnauthorized, "invalid_client")
	s.revoke("one", v1alpha1.TokenRevocationSpec{TokenID: s.granted(got)["jti"].(string)})
	nothing := `{"active":false}`
	for sentence, body := range map[string]string{
		"a refresh token of another client": look(refresh, as...).body,
		"a token that was taken back":       look(access).body,
		"garbage":                           look("x").body,
		"a token of another issuer":         look(s.signed("at+jwt", map[string]any{"iss": "https://else.example"})).body,
		"one of another kind":               look(s.signed("JWT", nil)).body,
		"one that no key here signed":       look(foreign(t)).body,
		"one that has expired":              look(s.signed("at+jwt", map[string]any{"exp": start().Unix()})).body,
		"one that is not valid yet":         look(s.signed("at+jwt", map[string]any{"nbf": start().Add(time.Minute).Unix()})).body,
	} {
		if strings.TrimSpace(body) != nothing {
			t.Errorf("%s: got %s", sentence, body)
		}
	}
	s.granted(s.refresh(refresh))
	if body := look(refresh).body; strings.TrimSpace(body) != nothing {
		t.Errorf("a refresh token that was used: got %s", body)
	}
}

func TestRevocationEndsAGrant(t *testing.T) {
	other := cart(func(c *v1alpha1.TokenClient) { c.Name, c.UID = "other", "other" })
	s := begin(t, append(other, cart()...)...)
	first := s.first()
	newest := s.refresh(first).text("refresh_token")
	done := func(r reply) {
		s.t.Helper()
		if r.status != http.StatusOK {
			s.t.Errorf("got %d %s", r.status, r.body)
		}
	}
	done(s.post("revoke", "token", newest, "client_id", "shop.other", "client_secret", secret))
	got := s.refresh(newest)
	s.granted(got)
	done(s.post("revoke", "token", got.text("refresh_token"), "token_type_hint", "refresh_token"))
	s.unusable(s.refresh(got.text("refresh_token")))
	done(s.post("revoke", "token", "unknown"))
	s.refused(s.post("revoke", "token", got.text("access_token")), http.StatusBadRequest, "unsupported_token_type")
	s.store.away = true
	s.refused(s.post("revoke", "token", newest), http.StatusServiceUnavailable, "temporarily_unavailable")
}
