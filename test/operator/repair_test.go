package operator

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

func TestWhatIsDerivedComesBack(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	ring, token, jwks := w.secret(ns, "shop-signing-key"), w.secret(ns, "cart"), w.configMap(ns, "shop-jwks")

	for what, breakIt := range map[string]func(){
		"a deleted JWKS": func() { w.must(w.c.Delete(t.Context(), w.configMap(ns, "shop-jwks"))) },
		"an emptied JWKS": func() {
			cm := w.configMap(ns, "shop-jwks")
			w.patch(cm, func() { cm.Data["jwks.json"] = `{"keys":[]}` })
		},
		"a JWKS without its labels": func() {
			cm := w.configMap(ns, "shop-jwks")
			w.patch(cm, func() { cm.Labels = nil })
		},
		"a ring Secret with a foreign PEM": func() {
			s := w.secret(ns, "shop-signing-key")
			w.patch(s, func() { s.Data["signing-key.pem"] = []byte("garbage") })
		},
		"a ring Secret without its labels": func() {
			s := w.secret(ns, "shop-signing-key")
			w.patch(s, func() { s.Labels = nil })
		},
		"a token Secret without its labels": func() {
			s := w.secret(ns, "cart")
			w.patch(s, func() { s.Labels = nil })
		},
		"a token Secret with a further entry": func() {
			s := w.secret(ns, "cart")
			w.patch(s, func() { s.Data["more"] = []byte("x") })
		},
	} {
		t.Run(what, func(*testing.T) {
			breakIt()
			w.eventually(what+" is mended", func() error {
				r, k, c := w.secret(ns, "shop-signing-key"), w.secret(ns, "cart"), &corev1.ConfigMap{}
				if err := w.c.Get(t.Context(), client.ObjectKeyFromObject(jwks), c); err != nil {
					return err
				}
				switch {
				case !sameData(r.Data, ring.Data) || r.Labels[v1alpha1.LabelManagedBy] == "":
					return fmt.Errorf("the ring Secret is not what it was")
				case !bytes.Equal(k.Data["token"], token.Data["token"]) || k.Labels[v1alpha1.LabelManagedBy] == "":
					return fmt.Errorf("the token Secret is not what it was")
				case c.Data["jwks.json"] != jwks.Data["jwks.json"] || c.Labels[v1alpha1.LabelManagedBy] == "":
					return fmt.Errorf("the ConfigMap is not what it was")
				}
				return nil
			})
		})
	}
}

func sameData(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !bytes.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}

func TestALostTokenIsIssuedAnew(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	for what, breakIt := range map[string]func(){
		"deleted": func() { w.must(w.c.Delete(t.Context(), w.secret(ns, "cart"))) },
		"emptied": func() {
			s := w.secret(ns, "cart")
			w.patch(s, func() { delete(s.Data, "token") })
		},
	} {
		t.Run(what, func(*testing.T) {
			was := w.token(ns, "cart").Status.TokenID
			breakIt()
			w.eventually("a new token", func() error {
				if id := w.token(ns, "cart").Status.TokenID; id == was {
					return fmt.Errorf("still %s", id)
				}
				return w.verifies(ns, "cart", "shop")
			})
		})
	}
}

func TestTheStatusTellsOfATokenWhoseKeyIsGone(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	ends := w.now().Add(life / 2)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.ExpiresAt = &metav1.Time{Time: ends}
	})})
	says := func() v1alpha1.ServiceTokenStatus {
		s := w.token(ns, "cart").Status
		return v1alpha1.ServiceTokenStatus{TokenID: s.TokenID, KeyID: s.KeyID, IssuedAt: s.IssuedAt, ExpiresAt: s.ExpiresAt}
	}
	before := says()
	key := w.key(ns, "shop")
	w.patch(key, func() { key.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"} })
	w.must(w.c.Delete(t.Context(), key))
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonSigningKeyNotFound)
	if diff := cmp.Diff(before, says()); diff != "" || before.TokenID == "" {
		t.Errorf("status of the token that is still in the Secret (-before +after):\n%s", diff)
	}
	w.step(life / 2)
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonExpired)
	if diff := cmp.Diff(v1alpha1.ServiceTokenStatus{}, says()); diff != "" {
		t.Errorf("status of a token that was withdrawn (-want +got):\n%s", diff)
	}
}

func TestALostRingKeepsItsTokensVerifying(t *testing.T) {
	for what, breakIt := range map[string]func(w *world, ring *corev1.Secret){
		"deleted": func(w *world, ring *corev1.Secret) { w.must(w.c.Delete(w.t.Context(), ring)) },
		"corrupted": func(w *world, ring *corev1.Secret) {
			w.patch(ring, func() { ring.Data["ring.json"] = []byte("{") })
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, ns := begin(t), suite.Namespace(t, nil)
			w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
			first := w.key(ns, "shop").Status.ActiveKeyID
			old := string(w.secret(ns, "cart").Data["token"])
			breakIt(w, w.secret(ns, "shop-signing-key"))
			w.keyIs(ns, "shop", v1alpha1.ConditionRingIntact, metav1.ConditionFalse, v1alpha1.ReasonRingLost)
			w.settles(ns, "shop", "a fresh key signs and the old one stays published", func(s map[v1alpha1.KeyState][]string) bool {
				return slices.Equal(s[v1alpha1.KeyRetired], []string{first}) && len(s[v1alpha1.KeyActive]) == 1
			})
			cm := w.configMap(ns, "shop-jwks")
			if _, err := verify(old, cm.Data["jwks.json"], w.now(), cm.Data["issuer"]); err != nil {
				t.Errorf("a token that is out no longer verifies: %v", err)
			}
			w.must(w.verifies(ns, "cart", "shop"))
			w.eventually("a Warning event", func() error { return w.hasEvent(ns, v1alpha1.ReasonRingLost, "shop", "") })
		})
	}
}

// Somebody changes the copy between the two writes of a pass, so that the pass ends in a conflict.
func TestWhatHappenedToARingIsToldThoughACopyMeetsAConflict(t *testing.T) {
	ns := suite.Namespace(t, nil)
	g := newGate(in(ns, "PATCH configmaps/shop-jwks"))
	w := begin(t, g.between)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	first := w.key(ns, "shop").Status.ActiveKeyID
	const lost = `keyturn_signingkey_transitions_total{transition="RingLost"}`
	before := allSeries(t)

	g.arm()
	w.must(w.c.Delete(t.Context(), w.secret(ns, "shop-signing-key")))
	w.eventually("the copy is about to be written", g.isHeld)
	cm := w.configMap(ns, "shop-jwks")
	w.patch(cm, func() { metav1.SetMetaDataAnnotation(&cm.ObjectMeta, "team", "identity") })
	if answer := w.letGo(g); answer != http.StatusConflict {
		t.Fatalf("the API server answers %d, want a conflict", answer)
	}
	active := w.key(ns, "shop").Status.ActiveKeyID
	if active == first {
		t.Fatal("the lost key still signs")
	}
	w.eventually("an event of the loss", func() error { return w.hasEvent(ns, v1alpha1.ReasonRingLost, "shop", "is gone") })
	w.eventually("an event of the fresh key", func() error { return w.hasEvent(ns, v1alpha1.ReasonKeyActivated, "shop", active) })
	w.tells(lost, before[lost]+1)
}

// hasEvent says whether an object has had an event with that reason whose note says so.
func (w *world) hasEvent(ns, reason, object, note string) error {
	var list corev1.EventList
	if err := w.c.List(w.t.Context(), &list, client.InNamespace(ns)); err != nil {
		return err
	}
	for _, e := range list.Items {
		if e.Reason == reason && e.InvolvedObject.Name == object && strings.Contains(e.Message, note) {
			return nil
		}
	}
	return fmt.Errorf("no event %s of %s says %q among %d", reason, object, note, len(list.Items))
}

func TestWhatIsForeignIsNeverTouched(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	other := suite.Namespace(t, map[string]string{"jwks": ns})
	foreign := []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "shop-signing-key"}, Data: map[string][]byte{"a": []byte("b")}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bank-jwks"}, Data: map[string]string{"jwks.json": "mine"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "club-jwks"}, Data: map[string]string{"a": "b"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cart"}, Data: map[string][]byte{"a": []byte("b")}},
	}
	w.create(foreign...)
	versions := map[string]string{}
	for _, object := range foreign {
		versions[object.GetName()] = object.GetResourceVersion()
	}
	w.create(newKey(ns, "shop"), newKey(ns, "bank"), newKey(ns, "club", func(k *v1alpha1.SigningKey) {
		k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"jwks": ns}}
	}), newKey(ns, "good"), newToken(ns, "cart", "good"))

	w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	w.keyIs(ns, "bank", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonConfigMapConflict)
	w.keyIs(ns, "club", v1alpha1.ConditionPropagated, metav1.ConditionFalse, v1alpha1.ReasonPropagationPending)
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	for _, object := range foreign {
		w.must(w.c.Get(t.Context(), client.ObjectKeyFromObject(object), object))
		if object.GetResourceVersion() != versions[object.GetName()] {
			t.Errorf("%T %s was changed", object, object.GetName())
		}
	}
	w.must(w.c.Delete(t.Context(), foreign[3]))
	w.look()
	w.tokenIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonIssued)
}

func TestACopyThatCannotBeWrittenDelaysTheRotation(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	other := suite.Namespace(t, map[string]string{"jwks": ns})
	block := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "shop-jwks"}}
	w.create(block, newKey(ns, "shop", func(k *v1alpha1.SigningKey) {
		k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"jwks": ns}}
	}))
	w.keyIs(ns, "shop", v1alpha1.ConditionPropagated, metav1.ConditionFalse, v1alpha1.ReasonPropagationPending)
	first := w.key(ns, "shop").Status.ActiveKeyID
	w.step(period)
	w.settles(ns, "shop", "a Pending key that waits", func(s map[v1alpha1.KeyState][]string) bool { return len(s[v1alpha1.KeyPending]) == 1 })
	w.step(10 * lead)
	w.settles(ns, "shop", "it still waits", func(s map[v1alpha1.KeyState][]string) bool {
		return len(s[v1alpha1.KeyPending]) == 1 && slices.Equal(s[v1alpha1.KeyActive], []string{first})
	})
	w.must(w.c.Delete(t.Context(), block))
	w.look()
	w.keyIs(ns, "shop", v1alpha1.ConditionPropagated, metav1.ConditionTrue, v1alpha1.ReasonPropagated)
	w.eventually("its wait begins", func() error {
		if w.key(ns, "shop").Status.Keys[0].PublishedAt == nil {
			return fmt.Errorf("not published")
		}
		return nil
	})
	w.settles(ns, "shop", "the first key signs during the wait", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyActive], []string{first})
	})
	w.step(lead + 1e9)
	w.settles(ns, "shop", "the rotation", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRetired], []string{first})
	})
}
