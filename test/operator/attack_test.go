package operator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	signing "github.com/keyturn/keyturn/internal/jose"
)

// planted is a JWK Set with a key of the attacker's own, and marks that claim it for a SigningKey.
func planted(t *testing.T, ns, key string) *corev1.ConfigMap {
	t.Helper()
	mine, err := signing.GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	set, err := signing.NewKeySet(mine.Public()).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: key + "-jwks",
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelSigningKey: key, v1alpha1.LabelSigningKeyNamespace: ns,
			},
			Annotations: map[string]string{v1alpha1.AnnotationRingGeneration: "9223372036854775807"},
		},
		Data: map[string]string{"jwks.json": string(set), "issuer": "https://evil.example"},
	}
}

func firstID(t *testing.T, cm *corev1.ConfigMap) string {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(cm.Data["jwks.json"]), &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys[0].KeyID
}

func TestAKeyThatSomebodyPlantedIsNeverPublished(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	before := planted(t, ns, "shop")
	w.create(before)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	w.must(w.verifies(ns, "cart", "shop"))

	after := planted(t, ns, "shop")
	cm := w.configMap(ns, "shop-jwks")
	w.patch(cm, func() { cm.Data = after.Data; cm.Annotations = after.Annotations })
	w.eventually("the published set is restored", func() error { return w.verifies(ns, "cart", "shop") })
	w.keyIs(ns, "shop", v1alpha1.ConditionRingIntact, metav1.ConditionTrue, v1alpha1.ReasonRingIntact)
	w.patch(cm, func() { cm.Data = after.Data })
	w.must(w.c.Delete(t.Context(), w.secret(ns, "shop-signing-key")))
	w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.eventually("a ring", func() error { return w.verifies(ns, "cart", "shop") })

	for _, id := range published(t, w.configMap(ns, "shop-jwks").Data["jwks.json"]) {
		if id == firstID(t, before) || id == firstID(t, after) {
			t.Errorf("the planted key %s is published", id)
		}
	}
}

func TestARevokedKeyDoesNotComeBackWithAnOldSecret(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	backup := w.secret(ns, "shop-signing-key")
	key := w.key(ns, "shop")
	bad := key.Status.ActiveKeyID
	w.patch(key, func() { key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(bad)} })
	w.settles(ns, "shop", "the revocation", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRevoked], []string{bad})
	})
	w.patch(key, func() { key.Spec.RevokedKeyIDs = nil })
	ring := w.secret(ns, "shop-signing-key")
	w.patch(ring, func() { ring.Data = maps.Clone(backup.Data) })

	w.keyIs(ns, "shop", v1alpha1.ConditionRingIntact, metav1.ConditionFalse, v1alpha1.ReasonRingLost)
	w.settles(ns, "shop", "the key stays revoked", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRevoked], []string{bad}) && len(s[v1alpha1.KeyActive]) == 1
	})
	w.eventually("tokens verify and the revoked key is nowhere", func() error {
		ids := published(t, w.configMap(ns, "shop-jwks").Data["jwks.json"])
		if signs := string(w.secret(ns, "shop-signing-key").Data["key-id"]); signs == bad || slices.Contains(ids, bad) {
			return fmt.Errorf("%s signs, published are %v, revoked is %s", signs, ids, bad)
		}
		return w.verifies(ns, "cart", "shop")
	})
}

func TestAForeignConfigMapUnderTheNewNameLeavesTheOldOnePublished(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "taken"}})
	key := w.key(ns, "shop")
	w.patch(key, func() { key.Spec.JWKS.Name = "taken" })
	w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonConfigMapConflict)
	w.must(w.verifies(ns, "cart", "shop"))
}

func TestAConfigMapWithCopiedLabelsIsNotRemoved(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	precious := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "precious", Labels: w.configMap(ns, "shop-jwks").Labels},
		Data:       map[string]string{"precious": "data"},
	}
	w.create(precious)
	w.settled(0)
	w.must(w.c.Delete(t.Context(), w.key(ns, "shop")))
	w.gone(ns, "shop-jwks")
	w.must(w.c.Get(t.Context(), client.ObjectKeyFromObject(precious), precious))
}

func TestARequestThatEndedWhileItsKeyCannotBeReadIsWithdrawnOnce(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	ends := metav1.Time{Time: w.now().Add(2 * life)}
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.ExpiresAt = &ends
	})})
	key := w.key(ns, "shop")
	w.patch(key, func() { key.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "false"}} })
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonNotAllowed)
	w.step(2 * life)
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonExpired)
	if data := w.secret(ns, "cart").Data; len(data) != 0 {
		t.Errorf("the Secret still holds %d entries", len(data))
	}
}
