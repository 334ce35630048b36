package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/webhook"
)

func TestSigningKeys(t *testing.T) {
	cases := map[string]struct {
		change func(*v1alpha1.SigningKey)
		want   string
	}{
		"the defaults": {change: func(*v1alpha1.SigningKey) {}},
		"a period within the lead": {
			func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = lasting(time.Hour) },
			`SigningKey.keyturn.dev "main" is invalid: spec.rotation.period: Invalid value: "1h0m0s": period 1h0m0s is not longer than 1h3m0s, the sum of verifierCacheDuration 1h0m0s, propagationDelay 2m0s and clockSkew 1m0s`,
		},
		"more keys than fit": {
			func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = lasting(2 * time.Hour) },
			`spec.rotation.period: Invalid value: "2h0m0s": period 2h0m0s with maxDuration 24h0m0s would publish`,
		},
		"a period below the floor": {func(k *v1alpha1.SigningKey) {
			k.Spec.Rotation = v1alpha1.RotationSpec{Period: lasting(299 * time.Second), VerifierCacheDuration: lasting(0), PropagationDelay: lasting(0), ClockSkew: lasting(0)}
			k.Spec.Tokens.MaxDuration = lasting(5 * time.Minute)
		}, `spec.rotation.period: Invalid value: "4m59s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`},
		"a longest token below the floor": {
			func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(299 * time.Second) },
			`spec.tokens.maxDuration: Invalid value: "4m59s": must be at least 5m0s, the operator's --minimum-duration: lengthen it`,
		},
		"no issuer": {func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "" }, `spec.issuer: Required value: `},
		"a rule that does not compile": {func(k *v1alpha1.SigningKey) {
			k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "true"}, {Expression: "claims.aud =="}}
		}, `spec.tokens.rules[1].expression: Invalid value: "claims.aud ==": line 1, column 14: Syntax error`},
		"a selector that selects nothing": {func(k *v1alpha1.SigningKey) {
			k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}
		}, `spec.jwks.namespaces.matchExpressions[0].operator: Invalid value: "Like"`},
		"a selector of namespaces that is none": {func(k *v1alpha1.SigningKey) {
			k.Spec.Tokens.AllowedNamespaces.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}
		}, `spec.tokens.allowedNamespaces.selector.matchLabels: Invalid value: "a b"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t).check(request{path: webhook.PathSigningKey, new: signingKey("bank", "main", c.change)}, c.want)
		})
	}
}

func TestSigningKeyUpdates(t *testing.T) {
	good := signingKey("bank", "main")
	faulty := signingKey("bank", "main", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = lasting(2 * time.Hour) })
	change := func(k *v1alpha1.SigningKey, change func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
		k = k.DeepCopy()
		change(k)
		return k
	}
	revoke := func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []v1alpha1.KeyID{"x"} }
	tokens := []client.Object{
		serviceToken("a", "short", good, living(time.Hour)),
		serviceToken("a", "long", good, living(12*time.Hour)), serviceToken("b", "long", good, living(12*time.Hour)),
		serviceToken("c", "long", good, living(12*time.Hour)), serviceToken("d", "long", good, living(12*time.Hour)),
		serviceToken("e", "long", signingKey("bank", "other"), living(12*time.Hour)),
	}
	cases := map[string]struct {
		old, new *v1alpha1.SigningKey
		want     string
		warnings []string
	}{
		"a fault that is new":          {good, faulty, "spec.rotation.period: Invalid value", nil},
		"metadata of a faulty key":     {faulty, change(faulty, func(k *v1alpha1.SigningKey) { k.Labels = map[string]string{"a": "b"} }), "", nil},
		"a revocation":                 {good, change(good, revoke), "", nil},
		"a revocation on a faulty key": {faulty, change(faulty, revoke), "", []string{`spec.rotation.period: Invalid value: "2h0m0s": period 2h0m0s with maxDuration 24h0m0s would publish`}},
		"another fault on a faulty key": {
			faulty, change(faulty, func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(time.Second) }),
			"spec.tokens.maxDuration: Invalid value", nil,
		},
		"another algorithm": {good, change(good, func(k *v1alpha1.SigningKey) { k.Spec.Algorithm = "EdDSA" }), "", nil},
		"another name of the ConfigMap": {
			good, change(good, func(k *v1alpha1.SigningKey) { k.Spec.JWKS.Name = "new" }), "",
			[]string{"spec.jwks.name: ConfigMap main-jwks is removed with all its copies: whoever mounts it must mount new"},
		},
		"the default name, written out": {good, change(good, func(k *v1alpha1.SigningKey) { k.Spec.JWKS.Name = "main-jwks" }), "", nil},
		"a shorter longest token": {
			good, change(good, func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(6 * time.Hour) }), "",
			[]string{"spec.tokens.maxDuration: 4 ServiceTokens ask for more than 6h0m0s and will not be issued again: a/long, b/long, c/long, …"},
		},
		"a shorter longest token that is long enough": {good, change(good, func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = lasting(12 * time.Hour) }), "", nil},
		"a faulty key that is being deleted": {good, change(faulty, func(k *v1alpha1.SigningKey) {
			k.DeletionTimestamp, k.Finalizers = &metav1.Time{Time: today()}, []string{"example.com/x"}
		}), "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begin(t, tokens...).check(request{path: webhook.PathSigningKey, old: c.old, new: c.new}, c.want, c.warnings...)
		})
	}
}

func TestSigningKeysThatDoNotWaitForASetFromACutOffReplica(t *testing.T) {
	rotating := func(propagation, skew time.Duration) *v1alpha1.SigningKey {
		return signingKey("bank", "main", func(k *v1alpha1.SigningKey) {
			k.Spec.Rotation.PropagationDelay, k.Spec.Rotation.ClockSkew = lasting(propagation), lasting(skew)
		})
	}
	const warning = "spec.rotation: propagationDelay 0s and clockSkew 1m59s are together shorter than the 2m0s by which a JWKS"
	short := rotating(0, 119*time.Second)
	begin(t).check(request{path: webhook.PathSigningKey, new: short}, "", warning)
	begin(t).check(request{path: webhook.PathSigningKey, new: rotating(time.Second, 119*time.Second)}, "")
	begin(t).check(request{path: webhook.PathSigningKey, old: signingKey("bank", "main"), new: short}, "", warning)
	revoking := short.DeepCopy()
	revoking.Spec.RevokedKeyIDs = []v1alpha1.KeyID{"x"}
	begin(t).check(request{path: webhook.PathSigningKey, old: short, new: revoking}, "")
}

func TestSigningKeysOfOneIssuer(t *testing.T) {
	first := signingKey("bank", "main")
	second := signingKey("shop", "main", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = first.Spec.Issuer })
	begin(t, first).check(request{path: webhook.PathSigningKey, new: second}, "",
		"spec.issuer: SigningKey bank/main claims the same issuer and is older: this one signs nothing while that one is there")
	begin(t, first).check(request{path: webhook.PathSigningKey, new: first}, "")
}

func TestSigningKeyDeletion(t *testing.T) {
	key := signingKey("bank", "main")
	keys := newRing(t, key)
	var held []client.Object
	hold := func(namespace, name, compact string, change ...func(*v1alpha1.ServiceToken)) {
		owner := serviceToken(namespace, name, key, change...)
		held = append(held, owner, ours(tokenSecret(namespace, name, compact)))
	}
	for i := range 4 {
		hold("shop", fmt.Sprintf("till-%d", i), keys.sign(t, key.Spec.Issuer, time.Duration(i+1)*time.Hour))
	}
	hold("shop", "expired", keys.sign(t, key.Spec.Issuer, 0))
	hold("shop", "foreign", keys.sign(t, "https://elsewhere.example", time.Hour))
	hold("shop", "garbage", "garbage")
	held = append(held, serviceToken("shop", "empty", key))

	const refusal = `signingkeys.keyturn.dev "main" is forbidden: 4 ServiceTokens hold a live token that nobody could verify any more (shop/till-0, shop/till-1, shop/till-2, …), ` +
		`the last until 2026-01-02T07:00:00Z: delete what uses them or wait, or annotate the SigningKey with keyturn.dev/force-delete=true`
	everything := append([]client.Object{key, keys.secret}, held...)
	terminating := namespace("bank", nil)
	terminating.DeletionTimestamp, terminating.Finalizers = &metav1.Time{Time: today()}, []string{"kubernetes"}

	a := begin(t, append(everything, namespace("bank", nil))...)
	a.check(request{path: webhook.PathSigningKey, old: key}, refusal)
	for _, user := range []string{"system:serviceaccount:kube-system:namespace-controller", "system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager"} {
		a.check(request{path: webhook.PathSigningKey, old: key, user: user}, "")
	}
	for value, want := range map[string]string{"true": "", "false": refusal, "": refusal} {
		marked := key.DeepCopy()
		marked.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: value}
		a.check(request{path: webhook.PathSigningKey, old: marked}, want)
	}
	begin(t, append(everything, terminating)...).check(request{path: webhook.PathSigningKey, old: key}, "")

	t.Run("a ring that is lost does not set the tokens free", func(t *testing.T) {
		begin(t, append(held, namespace("bank", nil))...).check(request{path: webhook.PathSigningKey, old: key}, refusal)
	})
	t.Run("tokens of a revoked key keep nothing", func(*testing.T) {
		revoked := key.DeepCopy()
		revoked.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(keys.keys.Ring().Keys[0].ID)}
		a.check(request{path: webhook.PathSigningKey, old: revoked}, "")
	})
	t.Run("a cache that has not heard of the namespace's end", func(t *testing.T) {
		serve(t, cluster(append(everything, namespace("bank", nil))...), cluster(append(held, terminating)...)).
			check(request{path: webhook.PathSigningKey, old: key}, "")
	})
	t.Run("a cache that has not heard that ServiceTokens are gone", func(t *testing.T) {
		going := serviceToken("shop", "till-1", key)
		going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: today()}, []string{"foregroundDeletion"}
		moved := serviceToken("shop", "till-2", signingKey("bank", "other"))
		cached := cluster(append(everything, namespace("bank", nil))...)
		serve(t, cached, cluster(namespace("bank", nil), going, moved)).check(request{path: webhook.PathSigningKey, old: key}, "")
		serve(t, cached, cluster(namespace("bank", nil), going, moved, serviceToken("shop", "till-0", key))).check(
			request{path: webhook.PathSigningKey, old: key}, "1 ServiceToken holds a live token that nobody could verify any more (shop/till-0), the last until 2026-01-02T04:00:00Z")
	})
}

// TestMalformedReviews: nothing that is sent to the webhooks makes them fall.
func TestMalformedReviews(t *testing.T) {
	a := begin(t)
	bodies := map[string]string{
		"nothing":               ``,
		"no JSON":               `hunter2`,
		"an empty object":       `{}`,
		"another kind":          `{"apiVersion":"v1","kind":"Pod"}`,
		"no request":            `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`,
		"no operation":          `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1"}}`,
		"no object":             `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE"}}`,
		"no old object":         `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"UPDATE","object":{"metadata":{}}}}`,
		"a deletion of nothing": `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"DELETE"}}`,
		"an object of lists":    `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","object":{"spec":[],"data":[]}}}`,
		"data that is no base64": `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",` +
			`"object":{"apiVersion":"v1","kind":"Secret","type":"keyturn.dev/token","data":{"token":"%%%"}}}}`,
		"a spec of nulls": `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",` +
			`"object":{"spec":{"issuer":null,"rotation":null,"tokens":null,"claims":null,"secretTemplate":null,"volumes":null,"containers":[null]}}}}`,
	}
	for name, body := range bodies {
		for _, path := range []string{webhook.PathSigningKey, webhook.PathServiceToken, webhook.PathSecret, webhook.PathPod} {
			t.Run(name+" to "+path, func(t *testing.T) {
				a.t = t
				if got := a.post(path, []byte(body)); !got.Allowed && strings.Contains(got.Result.Message, "panic") {
					t.Errorf("it fell: %s", got.Result.Message)
				}
			})
		}
	}
}

func TestTheDeletionOfASigningKeyNamesWhatStopsToWork(t *testing.T) {
	key, other := signingKey("bank", "main"), signingKey("bank", "other")
	objects := []client.Object{
		key, namespace("bank", nil), tokenClient("shop", "cart", key), tokenClient("shop", "till", key), tokenClient("shop", "else", other), tokenPolicy(key),
	}
	warnings := []string{
		"2 TokenClients get no token any more, and the access tokens that are out cannot be verified: shop/cart, shop/till",
		"1 TokenPolicy lets nobody in any more by tokens of this SigningKey: shop/api",
	}
	for sentence, c := range map[string]struct {
		user     string
		change   func(*v1alpha1.SigningKey)
		warnings []string
	}{
		"by a user":          {warnings: warnings},
		"with its namespace": {user: "system:serviceaccount:kube-system:namespace-controller"},
		"that is meant, whatever depends": {change: func(k *v1alpha1.SigningKey) {
			k.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"}
		}},
		"of a SigningKey that nobody names":  {change: func(k *v1alpha1.SigningKey) { k.Name = "unused" }},
		"of one that others name, warns too": {change: func(k *v1alpha1.SigningKey) { k.Name = "other" }, warnings: []string{"1 TokenClient gets no token any more"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			gone := key.DeepCopy()
			if c.change != nil {
				c.change(gone)
			}
			begin(t, objects...).check(request{path: webhook.PathSigningKey, old: gone, user: c.user}, "", c.warnings...)
		})
	}
}
