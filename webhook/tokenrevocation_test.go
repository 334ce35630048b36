package webhook_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

// tokenRevocation takes back what SigningKey bank/main has signed for till.
func tokenRevocation(change ...func(*v1alpha1.TokenRevocation)) *v1alpha1.TokenRevocation {
	r := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "till"},
		Spec:       v1alpha1.TokenRevocationSpec{SigningKeyName: "main", Subject: "till"},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func before(at time.Time) func(*v1alpha1.TokenRevocation) {
	return func(r *v1alpha1.TokenRevocation) { r.Spec.IssuedBefore = &metav1.Time{Time: at} }
}

// alive says in the status how long tokens are alive.
func alive(life time.Duration) func(*v1alpha1.TokenRevocation) {
	return func(r *v1alpha1.TokenRevocation) { r.Status.ExpiresAt = &metav1.Time{Time: today().Add(life)} }
}

func byKeyID(id string) func(*v1alpha1.TokenRevocation) {
	return func(r *v1alpha1.TokenRevocation) { r.Spec.Subject, r.Spec.KeyID = "", v1alpha1.KeyID(id) }
}

func TestTokenRevocations(t *testing.T) {
	key := signingKey("bank", "main", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.ClockSkew = lasting(30 * time.Second) })
	keys := newRing(t, key)
	known := keys.keys.Ring().Keys[0].ID
	cases := map[string]struct {
		change  []func(*v1alpha1.TokenRevocation)
		want    string
		warning string
	}{
		"a subject":                       {},
		"an instant in the past":          {change: []func(*v1alpha1.TokenRevocation){before(today().Add(-time.Hour))}},
		"an instant as far as clocks are": {change: []func(*v1alpha1.TokenRevocation){before(today().Add(30 * time.Second))}},
		"an instant that is in the future": {
			change: []func(*v1alpha1.TokenRevocation){before(today().Add(31 * time.Second))},
			want: `TokenRevocation.keyturn.dev "till" is invalid: spec.issuedBefore: Invalid value: "2026-01-02T03:00:31Z": must be at most 30s, spec.rotation.clockSkew of the SigningKey, in the future, ` +
				`and it is 2026-01-02T03:00:00Z: leave it out for every token that was issued until now`,
		},
		"a key that signs": {
			change:  []func(*v1alpha1.TokenRevocation){byKeyID(known)},
			warning: "spec.keyID: key " + known + " goes on as before, and servers that know nothing but the JWKS accept what it has signed: if it is compromised, add it to spec.revokedKeyIDs of SigningKey bank/main instead",
		},
		"a key that nobody knows": {
			change:  []func(*v1alpha1.TokenRevocation){byKeyID("nobody")},
			warning: "spec.keyID: SigningKey bank/main publishes no key nobody, so that it concerns no token that verifies: its keys are in status.keys",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var warnings []string
			if c.warning != "" {
				warnings = []string{c.warning}
			}
			begin(t, key, keys.secret).check(request{path: webhook.PathTokenRevocation, new: tokenRevocation(c.change...)}, c.want, warnings...)
		})
	}
	revoked := key.DeepCopy()
	revoked.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(known)}
	begin(t, revoked, keys.secret).check(request{path: webhook.PathTokenRevocation, new: tokenRevocation(byKeyID(known))}, "",
		"spec.keyID: SigningKey bank/main has revoked key "+known+" itself, so that nothing it has signed is accepted in any case")
}

func TestTokenRevocationsBeforeTheirKey(t *testing.T) {
	const warning = "spec.signingKeyName: there is no SigningKey bank/main yet, so nothing is taken back until it is there"
	begin(t).check(request{path: webhook.PathTokenRevocation, new: tokenRevocation()}, "", warning)
	begin(t).check(request{path: webhook.PathTokenRevocation, new: tokenRevocation(byKeyID("x"))}, "", warning)
	begin(t).check(request{path: webhook.PathTokenRevocation, new: tokenRevocation(before(today().Add(time.Minute)))}, "", warning)
	begin(t).check(request{path: webhook.PathTokenRevocation, new: tokenRevocation(before(today().Add(61 * time.Second)))},
		"must be at most 1m0s, spec.rotation.clockSkew of the SigningKey, in the future", warning)
}

func TestTokenRevocationDeletion(t *testing.T) {
	key := signingKey("bank", "main")
	const refusal = `tokenrevocations.keyturn.dev "till" is forbidden: tokens that it takes back would be accepted again, the last until 2026-01-02T04:00:00Z: ` +
		`wait, or annotate the TokenRevocation with keyturn.dev/force-delete=true`
	forced := func(value string) func(*v1alpha1.TokenRevocation) {
		return func(r *v1alpha1.TokenRevocation) {
			r.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: value}
		}
	}
	going := func(r *v1alpha1.TokenRevocation) {
		r.DeletionTimestamp, r.Finalizers = &metav1.Time{Time: today()}, []string{"example.com/x"}
	}
	cases := map[string]struct {
		change []func(*v1alpha1.TokenRevocation)
		user   string
		want   string
	}{
		"tokens that are alive":            {[]func(*v1alpha1.TokenRevocation){alive(time.Hour)}, "", refusal},
		"tokens that expire now":           {[]func(*v1alpha1.TokenRevocation){alive(0)}, "", ""},
		"nobody has seen it yet":           {nil, "", ""},
		"it is forced":                     {[]func(*v1alpha1.TokenRevocation){alive(time.Hour), forced("true")}, "", ""},
		"it is not quite forced":           {[]func(*v1alpha1.TokenRevocation){alive(time.Hour), forced("yes")}, "", refusal},
		"it is going already":              {[]func(*v1alpha1.TokenRevocation){alive(time.Hour), going}, "", ""},
		"the namespace controller does it": {[]func(*v1alpha1.TokenRevocation){alive(time.Hour)}, "system:serviceaccount:kube-system:namespace-controller", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t, key, namespace("bank", nil)).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(c.change...), user: c.user}, c.want)
		})
	}
	terminating := namespace("bank", nil)
	terminating.DeletionTimestamp, terminating.Finalizers = &metav1.Time{Time: today()}, []string{"kubernetes"}
	begin(t, key, terminating).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(alive(time.Hour))}, "")
	serve(t, cluster(key, namespace("bank", nil)), cluster(key, terminating)).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(alive(time.Hour))}, "")
	begin(t, namespace("bank", nil)).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(alive(time.Hour))}, "")
	serve(t, cluster(key, namespace("bank", nil)), cluster(namespace("bank", nil))).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(alive(time.Hour))}, "")
	serve(t, cluster(namespace("bank", nil)), cluster(key, namespace("bank", nil))).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(alive(time.Hour))}, refusal)
	begin(t, key).check(request{path: webhook.PathTokenRevocation, old: tokenRevocation(), new: tokenRevocation(forced("true"))}, "")
}
