package operator

import (
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// turning rotates a SigningKey as often as it can.
func turning(k *v1alpha1.SigningKey) {
	k.Spec.Rotation.Period = duration(3 * time.Hour)
	k.Spec.Tokens.MaxDuration = duration(life)
}

// holder has tokens, and shows each for as long as it is good and a while longer.
type holder struct {
	caller
	// tokens are those that were granted, and keys who signed them.
	tokens []string
	keys   map[string]bool
}

func (h *holder) has(got reply) {
	_, _, keyID := timesOf(h.w.t, got.Access)
	h.tokens, h.keys[keyID] = append(h.tokens, got.Access), true
}

// shows presents each token to the gate, and forgets those that have expired.
func (h *holder) shows() {
	h.w.t.Helper()
	var good []string
	for _, token := range h.tokens {
		from, until, keyID := timesOf(h.w.t, token)
		want := http.StatusOK
		if !h.w.now().Before(until) {
			want = http.StatusUnauthorized
		} else {
			good = append(good, token)
		}
		if err := h.isLetIn(token, want); err != nil {
			h.w.t.Errorf("a token of key %s from %s until %s, at %s: %v", keyID, from, until, h.w.now(), err)
		}
	}
	h.tokens = good
}

// later grants what a client asks for at once, or when it asks again.
func (h *holder) later(ask func() reply) (got reply) {
	h.w.t.Helper()
	h.w.eventually("a token is granted", func() error {
		if got = ask(); got.isForLater() == nil {
			return got.granted()
		}
		h.w.must(got.granted())
		return nil
	})
	return got
}

// stirred are objects of all kinds that the operator follows.
func (w *world) stirred(ns string) []client.Object {
	w.t.Helper()
	ours := metav1.ObjectMeta{Namespace: ns, Name: "stirred", Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}}
	all := []client.Object{
		&corev1.Secret{ObjectMeta: ours}, &corev1.ConfigMap{ObjectMeta: ours}, newToken(ns, "stirred", "shop"),
		newRevocation(ns, "stirred", "shop", v1alpha1.TokenRevocationSpec{TokenID: "stirred"}),
	}
	w.create(all...)
	return append(all, w.key(ns, "shop"), w.client(ns, "cart"), newPolicy(ns, "api", "shop"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
}

// stir lets each watch show something: client-go resumes one that has shown nothing only after a while, which here is an instant.
func (w *world) stir(all []client.Object) {
	w.t.Helper()
	for _, object := range all {
		w.patch(object, func() {
			object.SetAnnotations(map[string]string{"test.keyturn.dev/at": w.now().Format(time.RFC3339), v1alpha1.AnnotationForceDelete: "true"})
		})
	}
	w.settled(0)
}

func TestEveryTokenIsLetInFromItsFirstToItsLastSecondWhileKeysRotate(t *testing.T) {
	w, v := beginServing(t, keeping(inFile(t)))
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop", turning)}, nil)
	v.protects(ns)
	h := &holder{caller: v.calls(newClient(ns, "cart", "shop", refreshing)), keys: map[string]bool{}}
	all, newest := w.stirred(ns), h.asked()
	h.has(newest)
	for range 24 {
		h.shows()
		w.stir(all)
		w.step(20*time.Minute - time.Second)
		h.shows()
		w.step(time.Second)
		h.shows()
		newest = h.later(func() reply { return h.refresh(newest.Refresh) })
		h.has(newest)
		h.has(h.later(h.ask))
		w.settled(0)
	}
	if len(h.keys) < 3 {
		t.Errorf("tokens are of %d keys, and there was time for 3", len(h.keys))
	}

	bad := w.revokesInUse(h)
	newest = h.later(func() reply { return h.refresh(newest.Refresh) })
	for _, got := range []reply{newest, h.later(h.ask)} {
		if _, _, keyID := timesOf(t, got.Access); keyID == bad {
			t.Error("the revoked key signs")
		}
		w.must(h.isLetIn(got.Access, http.StatusOK), w.admits(ns, got.Access))
	}
}

// revokesInUse revokes the key that signs. Its tokens are refused everywhere, and others are not.
func (w *world) revokesInUse(h *holder) (bad string) {
	w.t.Helper()
	bad = w.revoke(h.ns, "shop")
	for _, token := range h.tokens {
		_, _, keyID := timesOf(w.t, token)
		want := http.StatusOK
		if keyID == bad {
			want = http.StatusUnauthorized
		}
		w.eventually("the gate knows which tokens are revoked", func() error { return h.isLetIn(token, want) })
		if got := h.introspect(token); got.granted() != nil || got.Active == (keyID == bad) {
			w.t.Errorf("introspection of a token of key %s while %s is revoked: %+v", keyID, bad, got)
		}
		err := w.admits(h.ns, token)
		if keyID == bad && (err == nil || !strings.Contains(err.Error(), bad)) || keyID != bad && err != nil {
			w.t.Errorf("admission of a token of key %s while %s is revoked: %v", keyID, bad, err)
		}
	}
	return bad
}
