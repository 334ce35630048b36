package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Two keys are revoked at once, one that signs and one that has signed: both leave the JWKS, what they signed is issued anew,
// and is refused wherever somebody has kept it.
func revokedKeysVerifyNowhere(t *testing.T, c *cluster) {
	namespace := c.newNamespace(t, "e2e-revocation", nil)
	key := newKey(namespace, "orders", "https://revocation.example.com")
	key.Spec.Rotation.VerifierCacheDuration, key.Spec.Rotation.PropagationDelay = seconds(time.Second), seconds(time.Second)
	token := newToken(namespace, "checkout", key.Name, longestToken)
	c.create(t, key, token)
	c.awaitReady(t, key, token)
	stolen := get(t, c, namespace, token.Name, &corev1.Secret{}).Data[v1alpha1.SecretKeyToken]
	first := key.Status.ActiveKeyID

	c.update(t, key, func() { key.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"} })
	eventually(t, "a rotation that was requested takes place", func() error {
		must(t, c.Get(t.Context(), client.ObjectKeyFromObject(key), key))
		if key.Status.ActiveKeyID == first {
			return fmt.Errorf("key %.8s still signs", first)
		}
		return nil
	})
	revoked := []string{first, key.Status.ActiveKeyID}
	c.update(t, key, func() {
		for _, id := range revoked {
			key.Spec.RevokedKeyIDs = append(key.Spec.RevokedKeyIDs, v1alpha1.KeyID(id))
		}
	})
	c.awaitReady(t, key)
	eventually(t, "the token is signed by a key that is not revoked", func() error {
		must(t, c.Get(t.Context(), client.ObjectKeyFromObject(token), token))
		if slices.Contains(revoked, token.Status.KeyID) {
			return fmt.Errorf("it is signed by key %.8s", token.Status.KeyID)
		}
		return ready(token)
	})
	published := get(t, c, namespace, key.Name+"-jwks", &corev1.ConfigMap{}).Data[v1alpha1.ConfigMapKeyJWKS]
	for _, id := range revoked {
		if strings.Contains(published, id) {
			t.Errorf("the JWKS still has key %.8s, which is revoked", id)
		}
	}
	kept := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "kept"}, Type: v1alpha1.SecretTypeToken,
		Data: map[string][]byte{v1alpha1.SecretKeyToken: stolen},
	}
	c.mustRefuse(t, kept, "revoked")
	eventually(t, "events tell of each revocation", func() error { return c.told(t, key, v1alpha1.ReasonKeyRevoked, len(revoked)) })
	c.report.saw(t, "revocation", "%d keys at once leave the JWKS; the token is issued anew, a kept one is refused", len(revoked))
}

// update changes an object as kubectl edit would.
func (c *cluster) update(t *testing.T, object client.Object, change func()) {
	t.Helper()
	must(t, c.Get(t.Context(), client.ObjectKeyFromObject(object), object))
	before := object.DeepCopyObject().(client.Object)
	change()
	must(t, c.Patch(t.Context(), object, client.MergeFrom(before)))
}

// told says whether events of that reason about an object have been sent that often; Kubernetes counts equal ones in one.
func (c *cluster) told(t *testing.T, about client.Object, reason string, want int) error {
	t.Helper()
	var sent eventsv1.EventList
	must(t, c.List(t.Context(), &sent, client.InNamespace(about.GetNamespace())))
	got := 0
	for _, event := range sent.Items {
		switch {
		case event.Reason != reason || event.Regarding.Name != about.GetName():
		case event.Series != nil:
			got += int(event.Series.Count)
		default:
			got++
		}
	}
	if got != want {
		return fmt.Errorf("%s was told %d times, want %d", reason, got, want)
	}
	return nil
}
