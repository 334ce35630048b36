package webhook_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func tokenClient(namespace, name string, key *v1alpha1.SigningKey, change ...func(*v1alpha1.TokenClient)) *v1alpha1.TokenClient {
	c := &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:  v1alpha1.SigningKeyReference{Namespace: key.Namespace, Name: key.Name},
			Authentication: v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{OverlapDuration: lasting(time.Hour)}},
			Audiences:      []v1alpha1.Audience{"https://api.example"},
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func accessing(d time.Duration) func(*v1alpha1.TokenClient) {
	return func(c *v1alpha1.TokenClient) { c.Spec.AccessTokenDuration = lasting(d) }
}

func claiming(name, expression string) func(*v1alpha1.TokenClient) {
	return func(c *v1alpha1.TokenClient) {
		c.Spec.Claims = append(c.Spec.Claims, v1alpha1.ClaimExpression{Name: name, Expression: expression})
	}
}

func TestTokenClients(t *testing.T) {
	key := signingKey("bank", "main", func(k *v1alpha1.SigningKey) {
		k.Spec.Tokens.MaxDuration = lasting(2 * time.Hour)
		k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: `namespace.labels["tier"] == "prod"`, Message: "only production"}}
	})
	cases := map[string]struct {
		change []func(*v1alpha1.TokenClient)
		want   string
	}{
		"an ordinary client":         {},
		"a life above the key's":     {[]func(*v1alpha1.TokenClient){accessing(3 * time.Hour)}, `TokenClient.keyturn.dev "till" is invalid: spec.accessTokenDuration: Invalid value: "3h0m0s": must be at most 2h0m0s, spec.tokens.maxDuration of SigningKey bank/main`},
		"an expression that is none": {[]func(*v1alpha1.TokenClient){claiming("team", "client.")}, `spec.claims[0].expression: Invalid value: "client.": line 1, column 8: Syntax error`},
		"a claim that Keyturn sets":  {[]func(*v1alpha1.TokenClient){claiming("scope", "'x'")}, `spec.claims[0].name: Invalid value: "scope": Keyturn sets the claim "scope": remove it`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := begin(t, key, namespace("shop", map[string]string{"tier": "prod"}))
			a.check(request{path: webhook.PathTokenClient, new: tokenClient("shop", "till", key, c.change...)}, c.want)
		})
	}
	begin(t, key, namespace("shop", map[string]string{"tier": "test"})).check(
		request{path: webhook.PathTokenClient, new: tokenClient("shop", "till", key)},
		"spec: Forbidden: SigningKey bank/main does not sign this: rule 0 refuses it: only production")
}

func TestTokenClientsBeforeTheirKey(t *testing.T) {
	const warning = "spec.signingKeyRef: there is no SigningKey bank/main yet, so nothing is issued until it is there"
	key := signingKey("bank", "main")
	a := begin(t, namespace("shop", nil))
	a.check(request{path: webhook.PathTokenClient, new: tokenClient("shop", "till", key)}, "", warning)
	a.check(request{path: webhook.PathTokenClient, new: tokenClient("shop", "till", key, accessing(time.Minute))}, "must be at least 5m0s", warning)

	behind := serve(t, cluster(namespace("shop", nil)), cluster(key))
	behind.check(request{path: webhook.PathTokenClient, new: tokenClient("shop", "till", key, accessing(48*time.Hour))}, "must be at most 24h0m0s")
}

func TestTokenClientUpdates(t *testing.T) {
	key := signingKey("bank", "main")
	faulty := tokenClient("shop", "till", key, accessing(48*time.Hour))
	labelled := faulty.DeepCopy()
	labelled.Labels, labelled.Finalizers = map[string]string{"a": "b"}, []string{"example.com/x"}
	going := tokenClient("shop", "till", key, accessing(72*time.Hour))
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: today()}, []string{"example.com/x"}
	cases := map[string]struct {
		new  *v1alpha1.TokenClient
		want string
	}{
		"metadata alone":            {labelled, ""},
		"one that is being deleted": {going, ""},
		"a fault that is mended":    {tokenClient("shop", "till", key), ""},
		"another fault":             {tokenClient("shop", "till", key, accessing(72*time.Hour)), "spec.accessTokenDuration: Invalid value"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t, key, namespace("shop", nil)).check(request{path: webhook.PathTokenClient, old: faulty, new: c.new}, c.want)
		})
	}
	begin(t).check(request{path: webhook.PathTokenClient, old: faulty}, "")
}

func TestAShorterLongestTokenNamesTheTokenClients(t *testing.T) {
	key := signingKey("bank", "main")
	shorter := key.DeepCopy()
	shorter.Spec.Tokens.MaxDuration = lasting(6 * time.Hour)
	a := begin(t, tokenClient("shop", "long", key, accessing(12*time.Hour)), tokenClient("shop", "short", key),
		tokenClient("shop", "other", signingKey("bank", "other"), accessing(12*time.Hour)), serviceToken("shop", "long", key, living(12*time.Hour)))
	a.check(request{path: webhook.PathSigningKey, old: key, new: shorter}, "",
		"spec.tokens.maxDuration: 1 ServiceToken asks for more than 6h0m0s and will not be issued again: shop/long",
		"spec.tokens.maxDuration: 1 TokenClient asks for more than 6h0m0s and will get no token: shop/long")
}
