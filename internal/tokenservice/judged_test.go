package tokenservice_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/pkg/verify"
	"github.com/keyturn/keyturn/test/verifier"
)

// judges are those who decide whether somebody is let in: the package that applications import, and one on another library.
func (s *service) judges() map[string]func(token string) error {
	s.t.Helper()
	jwks, err := s.ring.Public().JSON()
	s.must(err)
	file := filepath.Join(s.t.TempDir(), "jwks.json")
	s.must(os.WriteFile(file, jwks, 0o600))
	ours, err := verify.New(verify.Options{
		Issuers: []verify.Issuer{{
			Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: file}, Types: []string{verify.TypeAccessToken},
		}},
		Clock: s.clock.Now,
	})
	s.must(err)
	theirs := &verifier.Verifier{
		Issuer: issuer, Audience: audience, Keep: time.Hour,
		Source: func(context.Context, time.Time) ([]byte, time.Duration, error) { return jwks, time.Hour, nil },
	}
	return map[string]func(string) error{
		"pkg/verify": func(token string) error { _, err := ours.Verify(s.t.Context(), token); return err },
		"go-jose":    func(token string) error { return theirs.Verify(s.t.Context(), s.clock.Now(), token) },
	}
}

func TestOthersLetInWhoHasAnAccessTokenAndNobodyElse(t *testing.T) {
	s := begin(t, append(cart(), pods())...)
	till := s.account("shop", "till")
	first := s.post("token", "grant_type", "client_credentials")
	refreshed := s.refresh(first.text("refresh_token"))
	exchanged := s.post("token", "grant_type", exchange, "client_id", "shop.pods", "subject_token", till,
		"subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
	delegated := s.post("token", "grant_type", exchange, "subject_token", s.signed("at+jwt", nil),
		"subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
	for name, judge := range s.judges() {
		for sentence, got := range map[string]reply{
			"asked for": first, "refreshed": refreshed, "exchanged": exchanged, "delegated": delegated,
		} {
			if err := judge(got.text("access_token")); err != nil {
				t.Errorf("%s refuses what was %s: %v", name, sentence, err)
			}
		}
		for sentence, token := range map[string]string{
			"a refresh token": refreshed.text("refresh_token"), "the token of a ServiceAccount": till, "what another key signed": foreign(t),
		} {
			if judge(token) == nil {
				t.Errorf("%s lets in %s", name, sentence)
			}
		}
	}
	s.clock.Step(10*time.Minute + time.Second)
	for name, judge := range s.judges() {
		if judge(first.text("access_token")) == nil {
			t.Errorf("%s lets in who has a token that has expired", name)
		}
	}
}

func TestTokensAreKnownBeforeTheCacheKnowsTheirKey(t *testing.T) {
	s := begin(t, cart()...)
	revoked, before := s.signed("at+jwt", nil), &corev1.Secret{}
	s.must(s.api.Get(t.Context(), client.ObjectKey{Namespace: "bank", Name: "main-signing-key"}, before))
	s.key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(s.ring.IDs()[0])}
	s.write(s.key)
	s.turn()
	token := s.signed("at+jwt", nil)
	s.behind, before.UID = before, "before" // Or the store takes the two for the same version.
	known := func(sentence, token string, want bool) {
		t.Helper()
		if got := s.post("introspect", "token", token); got.said["active"] != want {
			t.Errorf("%s: got %d %v", sentence, got.status, got.said)
		}
	}
	known("the cache has the ring before", token, true)
	s.key.Status.RingGeneration = s.ring.Ring().Generation
	s.write(s.key)
	known("the status came first", token, true)
	known("the key is revoked", revoked, false)
}

func TestWhatAClientMayNotIsToldByItsCode(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*v1alpha1.TokenClient)
		form   []string
		words  string
	}{
		"a grant that it has not": {
			func(c *v1alpha1.TokenClient) { c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantTokenExchange} },
			[]string{"grant_type", "client_credentials"},
			"grant_type",
		},
		"to refresh": {
			func(c *v1alpha1.TokenClient) {
				c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials}
			},
			[]string{"grant_type", "refresh_token", "refresh_token", "x"},
			"grant_type",
		},
		"a life that its key does not sign": {
			func(c *v1alpha1.TokenClient) { c.Spec.AccessTokenDuration = &metav1.Duration{Duration: 2 * time.Hour} },
			[]string{"grant_type", "client_credentials"},
			"spec.accessTokenDuration",
		},
		"a claim that cannot be made": {
			func(c *v1alpha1.TokenClient) { c.Labels = nil }, []string{"grant_type", "client_credentials"}, "team",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := begin(t, cart(c.change)...)
			got := s.post("token", c.form...)
			s.refused(got, http.StatusBadRequest, "unauthorized_client")
			if words := got.text("error_description"); !strings.Contains(words, c.words) {
				t.Errorf("the description %q does not name %s", words, c.words)
			}
		})
	}
}

func TestANameIsNotWhoHadItBefore(t *testing.T) {
	s := begin(t, cart()...)
	token := s.first()
	s.key.UID = "anew"
	s.write(s.key)
	s.turn()
	s.unusable(s.refresh(token))

	s = begin(t, pods())
	till := []string{"client_id", "shop.pods", "client_assertion_type", jwtBearer, "client_assertion"}
	got := s.post("token", append(till, s.account("shop", "till"), "grant_type", "client_credentials")...)
	s.granted(got)
	again := s.accountOf("shop", "till", "anew")
	s.unusable(s.post("token", append(till, again, "grant_type", "refresh_token", "refresh_token", got.text("refresh_token"))...))
}

// elsewhere is a client of another SigningKey, far/main, with the secret of shop.cart.
func elsewhere() []client.Object {
	return cart(func(c *v1alpha1.TokenClient) {
		c.Namespace, c.UID = "far", "far"
		c.Spec.SigningKeyRef = v1alpha1.SigningKeyReference{Name: "main"}
	})
}
