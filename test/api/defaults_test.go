package api_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// unseen is a generation that no object has: tools that wait take one without any status for one that is as it shall be.
const unseen = -1

func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func TestSigningKeyDefaults(t *testing.T) {
	c := suite.Client(t)
	same := v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromSame}
	rotation := v1alpha1.RotationSpec{
		Period: lasting(720 * time.Hour), VerifierCacheDuration: lasting(time.Hour), PropagationDelay: lasting(2 * time.Minute), ClockSkew: lasting(time.Minute),
	}
	for sentence, test := range map[string]struct {
		given, want v1alpha1.SigningKeySpec
	}{
		"an issuer alone has every default": {
			given: v1alpha1.SigningKeySpec{Issuer: "https://issuer.example"},
			want: v1alpha1.SigningKeySpec{
				Issuer:    "https://issuer.example",
				Algorithm: "ES256",
				Rotation:  rotation,
				Tokens:    v1alpha1.TokensSpec{MaxDuration: lasting(24 * time.Hour), AllowedNamespaces: same},
			},
		},
		"what is given stays, beside the defaults of the rest": {
			given: v1alpha1.SigningKeySpec{
				Issuer:    "https://issuer.example",
				Algorithm: "EdDSA",
				Rotation:  v1alpha1.RotationSpec{ClockSkew: lasting(0)},
				Tokens: v1alpha1.TokensSpec{
					AllowedNamespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
				},
			},
			want: v1alpha1.SigningKeySpec{
				Issuer:    "https://issuer.example",
				Algorithm: "EdDSA",
				Rotation: v1alpha1.RotationSpec{
					Period: lasting(720 * time.Hour), VerifierCacheDuration: lasting(time.Hour), PropagationDelay: lasting(2 * time.Minute), ClockSkew: lasting(0),
				},
				Tokens: v1alpha1.TokensSpec{
					MaxDuration:       lasting(24 * time.Hour),
					AllowedNamespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
				},
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			key := &v1alpha1.SigningKey{
				ObjectMeta: metav1.ObjectMeta{Name: "subject", Namespace: "default"},
				Spec:       test.given,
			}
			if err := c.Create(t.Context(), key, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, key.Spec); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			if got := key.Status.ObservedGeneration; got != unseen {
				t.Errorf("status.observedGeneration is %d before the operator has seen it, want %d", got, unseen)
			}
		})
	}
}

func TestServiceTokenDefaults(t *testing.T) {
	given := v1alpha1.ServiceTokenSpec{
		SigningKeyRef:      v1alpha1.SigningKeyReference{Name: "key"},
		ServiceAccountName: "robot",
		Audiences:          []v1alpha1.Audience{"api"},
	}
	token := &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Name: "subject", Namespace: "default"},
		Spec:       given,
	}
	if err := suite.Client(t).Create(t.Context(), token, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	want := given
	want.Profile = v1alpha1.ProfileJWT
	want.Duration = lasting(time.Hour)
	if diff := cmp.Diff(want, token.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if got := token.Status.ObservedGeneration; got != unseen {
		t.Errorf("status.observedGeneration is %d before the operator has seen it, want %d", got, unseen)
	}
}

// Whoever writes null means that the default is wanted, as helm and jsonnet users do.
func TestNullMeansDefault(t *testing.T) {
	key := object("SigningKey", map[string]any{
		"algorithm": nil,
		"rotation":  map[string]any{"period": nil, "clockSkew": nil},
		"tokens":    nil,
	})
	if err := suite.Client(t).Create(t.Context(), key, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"algorithm": "ES256",
		"rotation": map[string]any{
			"period": "720h", "verifierCacheDuration": "1h", "propagationDelay": "2m", "clockSkew": "1m",
		},
		"tokens": map[string]any{
			"maxDuration": "24h", "allowedNamespaces": map[string]any{"from": "Same"},
		},
		"jwks": map[string]any{},
	}
	if diff := cmp.Diff(want, key.Object["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

// The defaults of the token service's kinds. What is not given, and has no default, is not there: neither the other ways of a
// choice, nor an empty object in their place.
func TestDefaultsOfTheTokenService(t *testing.T) {
	key := v1alpha1.SigningKeyReference{Name: "key"}
	meta := metav1.ObjectMeta{Name: "subject", Namespace: "default"}
	asks := func(spec v1alpha1.TokenClientSpec) *v1alpha1.TokenClient {
		spec.SigningKeyRef, spec.Audiences = key, []v1alpha1.Audience{"api"}
		return &v1alpha1.TokenClient{ObjectMeta: meta, Spec: spec}
	}
	policy := func(issuer v1alpha1.PolicyIssuer) *v1alpha1.TokenPolicy {
		return &v1alpha1.TokenPolicy{ObjectMeta: meta, Spec: v1alpha1.TokenPolicySpec{Issuers: []v1alpha1.PolicyIssuer{issuer}, Audiences: []v1alpha1.Audience{"api"}}}
	}
	const (
		asking   = `"accessTokenDuration":"10m","audiences":["api"],"authentication":`
		by       = `,"signingKeyRef":{"name":"key"}`
		policing = `{"audiences":["api"],"clockSkew":"0s","denyList":"Enabled","issuers":[`
	)
	for sentence, test := range map[string]struct {
		given client.Object
		want  string
	}{
		"a client with a secret": {
			asks(v1alpha1.TokenClientSpec{Authentication: v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}}}),
			`{` + asking + `{"clientSecret":{"overlapDuration":"24h"}},"grantTypes":["ClientCredentials"]` + by + `}`,
		},
		"a client with a key": {
			asks(v1alpha1.TokenClientSpec{Authentication: v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: "{}"}}}),
			`{` + asking + `{"privateKeyJWT":{"jwks":"{}"}},"grantTypes":["ClientCredentials"]` + by + `}`,
		},
		"every ServiceAccount of the namespace": {
			asks(v1alpha1.TokenClientSpec{Authentication: v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Selector: &metav1.LabelSelector{}}}}),
			`{` + asking + `{"serviceAccounts":{"selector":{}}},"grantTypes":["ClientCredentials"]` + by + `}`,
		},
		"a client that refreshes": {
			asks(v1alpha1.TokenClientSpec{
				Authentication: v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Names: []v1alpha1.ServiceAccountName{"a"}}},
				GrantTypes:     []v1alpha1.GrantType{v1alpha1.GrantTokenExchange, v1alpha1.GrantRefreshToken},
				RefreshToken:   &v1alpha1.RefreshTokenSpec{},
			}),
			`{` + asking + `{"serviceAccounts":{"names":["a"]}},"grantTypes":["TokenExchange","RefreshToken"],"refreshToken":{"absoluteDuration":"720h"}` + by + `}`,
		},
		"a revocation": {
			&v1alpha1.TokenRevocation{ObjectMeta: meta, Spec: v1alpha1.TokenRevocationSpec{SigningKeyName: "key", Subject: "alice"}},
			`{"signingKeyName":"key","subject":"alice"}`,
		},
		"a policy for a key": {policy(v1alpha1.PolicyIssuer{SigningKeyRef: &key}), policing + `{"signingKeyRef":{"name":"key"}}]}`},
		"a policy for an issuer elsewhere": {
			policy(v1alpha1.PolicyIssuer{External: &v1alpha1.ExternalIssuer{Issuer: "https://a.example"}}),
			policing + `{"external":{"cacheDuration":"1h","issuer":"https://a.example","maxStale":"1h"}}]}`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			sent, err := runtime.DefaultUnstructuredConverter.ToUnstructured(test.given)
			if err != nil {
				t.Fatal(err)
			}
			object := object(reflect.TypeOf(test.given).Elem().Name(), sent["spec"].(map[string]any))
			if err := suite.Client(t).Create(t.Context(), object, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(object.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			if generation, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration"); generation != unseen {
				t.Errorf("status.observedGeneration is %d before the operator has seen it, want %d", generation, unseen)
			}
		})
	}
}
