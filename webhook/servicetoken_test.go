package webhook_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func ending(at time.Time) func(*v1alpha1.ServiceToken) {
	return func(t *v1alpha1.ServiceToken) { t.Spec.ExpiresAt = &metav1.Time{Time: at} }
}

func living(d time.Duration) func(*v1alpha1.ServiceToken) {
	return func(t *v1alpha1.ServiceToken) { t.Spec.Duration = lasting(d) }
}

func renewed(d time.Duration) func(*v1alpha1.ServiceToken) {
	return func(t *v1alpha1.ServiceToken) { t.Spec.RenewBefore = lasting(d) }
}

func TestServiceTokens(t *testing.T) {
	key := signingKey("bank", "main", func(k *v1alpha1.SigningKey) {
		k.Spec.Tokens.MaxDuration = lasting(2 * time.Hour)
		k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: `namespace.labels["tier"] == "prod"`, Message: "only production"}}
	})
	cases := map[string]struct {
		change []func(*v1alpha1.ServiceToken)
		want   string
	}{
		"an ordinary token":  {},
		"an end in a second": {change: []func(*v1alpha1.ServiceToken){ending(today().Add(time.Second))}},
		"an end now": {
			[]func(*v1alpha1.ServiceToken){ending(today())},
			`ServiceToken.keyturn.dev "till" is invalid: spec.expiresAt: Invalid value: "2026-01-02T03:00:00Z": must be in the future, and it is 2026-01-02T03:00:00Z: to end the token now, delete the ServiceToken`,
		},
		"a duration above the key's":  {[]func(*v1alpha1.ServiceToken){living(3 * time.Hour)}, `spec.duration: Invalid value: "3h0m0s": must be at most 2h0m0s, spec.tokens.maxDuration of SigningKey bank/main`},
		"renewal with a tenth left":   {change: []func(*v1alpha1.ServiceToken){renewed(54 * time.Minute)}},
		"renewal that leaves no time": {[]func(*v1alpha1.ServiceToken){renewed(54*time.Minute + time.Second)}, `spec.renewBefore: Invalid value: "54m1s": leaves 5m59s between renewals of a token that lives 1h0m0s: must be at most 54m0s, nine tenths of spec.duration`},
		"renewal before the issue":    {[]func(*v1alpha1.ServiceToken){renewed(2 * time.Hour)}, `spec.renewBefore: Invalid value: "2h0m0s": leaves 0s between renewals`},
		"several faults": {
			[]func(*v1alpha1.ServiceToken){renewed(2 * time.Hour), ending(today()), living(time.Minute)},
			`[spec.expiresAt: Invalid value: "2026-01-02T03:00:00Z"`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := begin(t, key, namespace("shop", map[string]string{"tier": "prod"}))
			a.check(request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key, c.change...)}, c.want)
		})
	}
	begin(t, key, namespace("shop", map[string]string{"tier": "test"})).check(
		request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key)},
		"spec: Forbidden: SigningKey bank/main does not sign this: rule 0 refuses it: only production")
}

func TestServiceTokensBeforeTheirKey(t *testing.T) {
	const warning = "spec.signingKeyRef: there is no SigningKey bank/main yet, so nothing is issued until it is there"
	key := signingKey("bank", "main")
	a := begin(t, namespace("shop", nil))
	a.check(request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key)}, "", warning)
	a.check(request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key, func(t *v1alpha1.ServiceToken) {
		t.Spec.Claims = &runtime.RawExtension{Raw: []byte(`{"iss":"x"}`)}
	})}, `spec.claims: Forbidden: hold the registered claim "iss"`, warning)

	behind := serve(t, cluster(namespace("shop", nil)), cluster(key))
	behind.check(request{path: webhook.PathServiceToken, new: serviceToken("shop", "till", key, living(48*time.Hour))}, "must be at most 24h0m0s")
}

func TestServiceTokenUpdates(t *testing.T) {
	key := signingKey("bank", "main")
	ended := serviceToken("shop", "till", key, ending(today().Add(-time.Hour)), living(48*time.Hour))
	labelled := ended.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	going := serviceToken("shop", "till", key, living(72*time.Hour))
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: today()}, []string{"example.com/x"}
	shortened := serviceToken("shop", "till", key, ending(today().Add(-time.Hour)))
	moved := serviceToken("shop", "till", key, ending(today().Add(-time.Minute)))
	longer := serviceToken("shop", "till", key, ending(today().Add(-time.Hour)), living(72*time.Hour))

	cases := map[string]struct {
		new  *v1alpha1.ServiceToken
		want string
	}{
		"metadata alone":                 {labelled, ""},
		"one that is being deleted":      {going, ""},
		"another field, and the old end": {shortened, ""},
		"an end that has passed":         {moved, "spec.expiresAt: Invalid value"},
		"another fault":                  {longer, "spec.duration: Invalid value"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t, key, namespace("shop", nil)).check(request{path: webhook.PathServiceToken, old: ended, new: c.new}, c.want)
		})
	}
}
