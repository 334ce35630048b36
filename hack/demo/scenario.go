package main

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The periods of the demo: what takes weeks in production takes seconds here.
const (
	period       = 12 * time.Second
	cache        = 3 * time.Second
	propagation  = 2 * time.Second
	skew         = time.Second
	longestToken = 12 * time.Second

	namespace = "keyturn-demo"
	audience  = "https://api.demo.example"

	policyName = "api"
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

func seconds(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func signingKey(name string, algorithm v1alpha1.Algorithm) *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: "https://" + name + ".demo.example", Algorithm: algorithm,
			Rotation: v1alpha1.RotationSpec{
				Period: seconds(period), VerifierCacheDuration: seconds(cache),
				PropagationDelay: seconds(propagation), ClockSkew: seconds(skew),
			},
			Tokens: v1alpha1.TokensSpec{MaxDuration: seconds(longestToken)},
		},
	}
}

func serviceToken(name, key string, life time.Duration) *v1alpha1.ServiceToken {
	return &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Name: key},
			ServiceAccountName: name, Audiences: []v1alpha1.Audience{audience},
			Duration: seconds(life),
		},
	}
}

// tokenClient may ask for tokens and refresh them.
func tokenClient(name, key string, life time.Duration) *v1alpha1.TokenClient {
	return &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:       v1alpha1.SigningKeyReference{Name: key},
			Authentication:      v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}},
			GrantTypes:          []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken},
			Audiences:           []v1alpha1.Audience{audience},
			AccessTokenDuration: seconds(life),
		},
	}
}

// tokenPolicy lets in whoever has a token of one of the keys.
func tokenPolicy(keys ...string) *v1alpha1.TokenPolicy {
	policy := &v1alpha1.TokenPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: policyName}}
	policy.Spec.Audiences = []v1alpha1.Audience{audience}
	for _, key := range keys {
		policy.Spec.Issuers = append(policy.Spec.Issuers, v1alpha1.PolicyIssuer{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: key}})
	}
	return policy
}

// scenario is what the demo declares, in order.
func scenario() []client.Object {
	const short, middle = 6 * time.Second, 9 * time.Second
	return []client.Object{
		signingKey("shop", "ES256"),
		signingKey("bank", "EdDSA"),
		serviceToken("cart", "shop", short),
		serviceToken("search", "shop", middle),
		serviceToken("checkout", "shop", longestToken),
		serviceToken("ledger", "bank", short),
		serviceToken("audit", "bank", longestToken),
		tokenPolicy("shop", "bank"),
		tokenClient("visitor", "shop", short),
		tokenClient("teller", "bank", middle),
	}
}

func declare(ctx context.Context, api client.Client, out io.Writer) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := client.IgnoreAlreadyExists(api.Create(ctx, ns)); err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	_, _ = fmt.Fprintf(out, "\nA key signs for %s. It is published %s before that (verifiers cache for %s, copies need %s, clocks differ by %s),\n"+
		"and stays published until the last of its tokens, of at most %s, has expired.\n\n",
		period, cache+propagation+skew, cache, propagation, skew, longestToken)
	for _, object := range scenario() {
		if err := client.IgnoreAlreadyExists(api.Create(ctx, object)); err != nil {
			return fmt.Errorf("declare %s: %w", object.GetName(), err)
		}
	}
	return nil
}

// withdraw removes what the demo declared from a cluster that stays. Keys go last: they are kept while tokens need them.
func withdraw(ctx context.Context, api client.Client) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	_ = client.IgnoreNotFound(api.Delete(ctx, ns))
}
