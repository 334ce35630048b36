package operator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// A leader is frozen somewhere in its first pass over a SigningKey. Another takes over, and the key that the first one
// knows of is revoked. Then the first one goes on where it was.
func TestADeposedLeaderNeverPublishesARevokedKeyAgain(t *testing.T) {
	for what, c := range map[string]struct {
		holds, armedBy string
		answer         int
	}{
		"while it stores the ring":  {"POST secrets", "GET configmaps/shop-jwks", http.StatusConflict},
		"while it looks for a copy": {"GET configmaps/shop-jwks", "POST secrets", http.StatusOK},
		"while it writes a copy":    {"PATCH configmaps/shop-jwks", "POST secrets", http.StatusConflict},
		"while it reports":          {"PATCH signingkeys/shop/status", "POST secrets", http.StatusConflict},
	} {
		t.Run(what, func(t *testing.T) {
			ns := suite.Namespace(t, nil)
			g := newGate(in(ns, c.holds))
			g.armedBy = in(ns, c.armedBy)
			w := begin(t, g.between)
			w.create(newKey(ns, "shop"))
			w.eventually("the leader is frozen", g.isHeld)
			w.takeOver(1)
			w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			bad := w.revoke(ns, "shop")

			jwks := w.follow(w.configMap(ns, "shop-jwks"), &corev1.ConfigMapList{})
			key := w.follow(w.key(ns, "shop"), &v1alpha1.SigningKeyList{})
			if answer := w.letGo(g); answer != c.answer {
				t.Errorf("the API server answers %d, want %d", answer, c.answer)
			}
			jwks.never(func(o client.Object) error { return publishes(t, o, bad) })
			key.never(func(o client.Object) error { return signsWith(o, bad) })
		})
	}
}

// in is a request for an object in a namespace.
func in(ns, request string) string {
	return strings.Replace(request, " ", " /namespaces/"+ns+"/", 1)
}

// revoke revokes the Active key and waits until that is done everywhere.
func (w *world) revoke(ns, name string) string {
	w.t.Helper()
	key := w.key(ns, name)
	bad := key.Status.ActiveKeyID
	w.patch(key, func() { key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(bad)} })
	w.settles(ns, name, "the revocation", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRevoked], []string{bad})
	})
	w.eventually("the key leaves the JWKS", func() error { return publishes(w.t, w.configMap(ns, name+"-jwks"), bad) })
	return bad
}

func publishes(t *testing.T, object client.Object, id string) error {
	if ids := published(t, object.(*corev1.ConfigMap).Data["jwks.json"]); slices.Contains(ids, id) {
		return fmt.Errorf("the revoked key %s is published", id)
	}
	return nil
}

func signsWith(object client.Object, id string) error {
	if key := object.(*v1alpha1.SigningKey); key.Status.ActiveKeyID == id || key.Status.RingGeneration < 2 {
		return fmt.Errorf("the status goes back to key %s of ring %d", key.Status.ActiveKeyID, key.Status.RingGeneration)
	}
	return nil
}

// A leader is frozen while it writes a token. Another takes over, writes one of its own and revokes the key of both.
func TestADeposedLeaderNeverBringsAnOldTokenBack(t *testing.T) {
	for what, first := range map[string]string{
		"while it writes the Secret": "POST secrets", "while it reports": "PATCH servicetokens/cart/status",
	} {
		for when, c := range map[string]struct {
			holds string
			step  func(w *world, ns string, g *gate)
		}{
			"the first token": {first, func(w *world, ns string, g *gate) {
				g.arm()
				w.create(newToken(ns, "cart", "shop"))
			}},
			"a renewal": {strings.Replace(first, "POST secrets", "PATCH secrets/cart", 1), func(w *world, ns string, g *gate) {
				w.ready(ns, nil, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
				g.arm()
				w.step(life)
			}},
		} {
			t.Run(what+", "+when, func(t *testing.T) {
				ns := suite.Namespace(t, nil)
				g := newGate(in(ns, c.holds))
				w := begin(t, g.between)
				w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
				c.step(w, ns, g)
				w.eventually("the leader is frozen", g.isHeld)
				w.takeOver(1)
				w.tokenIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonIssued)
				bad := w.revoke(ns, "shop")
				w.eventually("the token is issued anew", func() error { return hasToken(w.token(ns, "cart"), bad) })

				secret := w.follow(w.secret(ns, "cart"), &corev1.SecretList{})
				token := w.follow(w.token(ns, "cart"), &v1alpha1.ServiceTokenList{})
				compact := string(w.secret(ns, "cart").Data["token"])
				if answer := w.letGo(g); answer != http.StatusConflict {
					t.Errorf("the API server answers %d, want %d", answer, http.StatusConflict)
				}
				secret.never(func(o client.Object) error {
					if string(o.(*corev1.Secret).Data["token"]) != compact {
						return fmt.Errorf("it holds another token")
					}
					return nil
				})
				token.never(func(o client.Object) error { return hasToken(o, bad) })
			})
		}
	}
}

func hasToken(object client.Object, bad string) error {
	if status := object.(*v1alpha1.ServiceToken).Status; status.KeyID == bad || status.KeyID == "" {
		return fmt.Errorf("the status speaks of key %q", status.KeyID)
	}
	return nil
}

// What somebody else creates between the operator's look and its first write stays as it is.
func TestWhatIsCreatedInTheLastMomentIsNotTouched(t *testing.T) {
	for what, c := range map[string]struct {
		holds   string
		foreign client.Object
		kind    string
		reason  string
	}{
		"a ConfigMap":          {"PATCH configmaps/shop-jwks", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "shop-jwks"}}, "SigningKey", v1alpha1.ReasonConfigMapConflict},
		"a Secret for a ring":  {"POST secrets", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shop-signing-key"}}, "SigningKey", v1alpha1.ReasonSecretConflict},
		"a Secret for a token": {"POST secrets", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cart"}}, "ServiceToken", v1alpha1.ReasonSecretConflict},
	} {
		t.Run(what, func(t *testing.T) {
			ns := suite.Namespace(t, nil)
			g := newGate(in(ns, c.holds))
			w := begin(t, g.between)
			if c.kind == "ServiceToken" {
				w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
				g.arm()
				w.create(newToken(ns, "cart", "shop"))
			} else {
				g.arm()
				w.create(newKey(ns, "shop"), newToken(ns, "cart", "shop"))
			}
			w.eventually("the write is held", g.isHeld)
			c.foreign.SetNamespace(ns)
			w.create(c.foreign)
			foreign := w.follow(c.foreign, listOf(c.foreign))
			version := c.foreign.GetResourceVersion()
			if answer := w.letGo(g); answer != http.StatusConflict {
				t.Errorf("the API server answers %d, want %d", answer, http.StatusConflict)
			}
			if c.kind == "SigningKey" {
				w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionFalse, c.reason)
			} else {
				w.tokenIs(ns, "cart", metav1.ConditionFalse, c.reason)
			}
			foreign.never(func(o client.Object) error {
				if len(o.GetAnnotations()) == 0 && o.GetResourceVersion() != version {
					return fmt.Errorf("it was changed")
				}
				return nil
			})
		})
	}
}

func listOf(object client.Object) client.ObjectList {
	if _, ok := object.(*corev1.ConfigMap); ok {
		return &corev1.ConfigMapList{}
	}
	return &corev1.SecretList{}
}
