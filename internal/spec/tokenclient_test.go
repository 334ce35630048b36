package spec_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

func TestParseClientID(t *testing.T) {
	cases := map[string]types.NamespacedName{
		spec.ClientID("shop", "till"): {Namespace: "shop", Name: "till"},
		"a-1.b-2":                     {Namespace: "a-1", Name: "b-2"},
		"":                            {}, ".": {}, "shop": {}, "shop.": {}, ".till": {}, "shop.till.": {}, "shop.till.x": {},
		"Shop.till": {}, "shop.till/..": {}, "shop.../x": {}, "-shop.till": {}, "shop till.x": {}, "shop.till\n": {}, "sh\u00f6p.till": {},
	}
	for id, want := range cases {
		got, ok := spec.ParseClientID(id)
		if got != want || ok != (want != types.NamespacedName{}) {
			t.Errorf("%q: got %v, %v, want %v", id, got, ok, want)
		}
	}
}

func TestTokenClientsDefaults(t *testing.T) {
	bare := &v1alpha1.TokenClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "till"}}
	bare.Spec.SigningKeyRef.Name = "main"
	full := bare.DeepCopy()
	full.Spec = v1alpha1.TokenClientSpec{
		SigningKeyRef:       v1alpha1.SigningKeyReference{Namespace: "bank", Name: "main"},
		Authentication:      v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{SecretName: "mine", OverlapDuration: lasting(0)}},
		GrantTypes:          []v1alpha1.GrantType{v1alpha1.GrantTokenExchange},
		AccessTokenDuration: lasting(time.Minute),
		RefreshToken:        &v1alpha1.RefreshTokenSpec{IdleDuration: lasting(time.Hour), AbsoluteDuration: lasting(2 * time.Hour)},
	}
	short := bare.DeepCopy()
	short.Spec.Authentication.ClientSecret = &v1alpha1.ClientSecretAuthentication{}
	short.Spec.RefreshToken = &v1alpha1.RefreshTokenSpec{AbsoluteDuration: lasting(time.Hour)}
	read := func(c *v1alpha1.TokenClient) string {
		idle, absolute := spec.RefreshDurations(c)
		return fmt.Sprint(spec.ClientKeyRef(c), spec.SigningKeyIndex(c), " ", spec.ClientSecretName(c), " ", spec.SecretOverlap(c), " ", spec.AccessTokenDuration(c), " ", idle, " ", absolute,
			" ", spec.Grants(c, v1alpha1.GrantClientCredentials), spec.Grants(c, v1alpha1.GrantTokenExchange))
	}
	got := map[string]string{"bare": read(bare), "full": read(full), "short": read(short)}
	want := map[string]string{
		"bare":  "shop/main [shop/main]  0s 10m0s 24h0m0s 720h0m0s true false",
		"full":  "bank/main [bank/main] mine 0s 1m0s 1h0m0s 2h0m0s false true",
		"short": "shop/main [shop/main] till-client 24h0m0s 10m0s 1h0m0s 1h0m0s true false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTokenRevocationsInstant(t *testing.T) {
	revocation := func(change func(*v1alpha1.TokenRevocationSpec)) *v1alpha1.TokenRevocation {
		r := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", CreationTimestamp: metav1.Time{Time: epoch()}}}
		r.Spec.SigningKeyName = "main"
		change(&r.Spec)
		return r
	}
	cases := map[string]struct {
		given func(*v1alpha1.TokenRevocationSpec)
		want  time.Time
	}{
		"one token":         {func(s *v1alpha1.TokenRevocationSpec) { s.TokenID = "id" }, time.Time{}},
		"a subject":         {func(s *v1alpha1.TokenRevocationSpec) { s.Subject = "x" }, epoch().Add(time.Second)},
		"a written instant": {func(s *v1alpha1.TokenRevocationSpec) { s.IssuedBefore = &metav1.Time{Time: epoch().Add(-time.Hour)} }, epoch().Add(-time.Hour)},
	}
	for name, c := range cases {
		if got := spec.Revocation(revocation(c.given), time.Hour).IssuedBefore; !got.Equal(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if got := fmt.Sprint(spec.SigningKeyIndex(revocation(func(*v1alpha1.TokenRevocationSpec) {}))); got != "[bank/main]" {
		t.Error(got)
	}
}

func TestTokenPoliciesDefaults(t *testing.T) {
	policy := &v1alpha1.TokenPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "api"}}
	elsewhere := &v1alpha1.ExternalIssuer{Issuer: "https://else.example"}
	policy.Spec.Issuers = []v1alpha1.PolicyIssuer{
		{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: "main"}}, {External: elsewhere}, {SigningKeyRef: &v1alpha1.SigningKeyReference{Namespace: "bank", Name: "main"}},
	}
	cache, stale := spec.ExternalCache(elsewhere)
	got := fmt.Sprint(spec.SigningKeyIndex(client.Object(policy)), spec.PolicySkew(policy), spec.HeedsDenyList(policy), cache, stale)
	policy.Spec.DenyList, policy.Spec.ClockSkew = v1alpha1.DenyListDisabled, lasting(time.Second)
	got += fmt.Sprint(" ", spec.PolicySkew(policy), spec.HeedsDenyList(policy))
	if want := "[shop/main bank/main] 0s true 1h0m0s 1h0m0s 1s false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
