package api_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
