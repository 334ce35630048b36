package operator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

func TestAnAppliedKeyAndTokenGiveATokenThatVerifies(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})

	w.must(w.verifies(ns, "cart", "shop"))
	secret, cm := w.secret(ns, "cart"), w.configMap(ns, "shop-jwks")
	claims, err := verify(string(secret.Data["token"]), cm.Data["jwks.json"], w.now(), cm.Data["issuer"])
	w.must(err)
	if want := "system:serviceaccount:" + ns + ":cart"; claims.Subject != want {
		t.Errorf("sub is %q, want %q", claims.Subject, want)
	}
	if got := claims.Expiry.Time().Sub(claims.IssuedAt.Time()); got != life {
		t.Errorf("the token lives for %s, want %s", got, life)
	}
	if secret.Type != v1alpha1.SecretTypeToken {
		t.Errorf("the Secret's type is %q, want %q", secret.Type, v1alpha1.SecretTypeToken)
	}
	ring := w.secret(ns, "shop-signing-key")
	for _, entry := range []string{"ring.json", "signing-key.pem", "signing-key.jwk", "key-id", "jwks.json"} {
		if len(ring.Data[entry]) == 0 {
			t.Errorf("the ring Secret has no %s", entry)
		}
	}
	status := w.token(ns, "cart").Status
	if status.TokenID != claims.ID || !status.ExpiresAt.Time.Equal(claims.Expiry.Time()) {
		t.Errorf("status says %s until %s, the token %s until %s", status.TokenID, status.ExpiresAt, claims.ID, claims.Expiry.Time())
	}
}

func TestAKeyRotatesThroughItsWholeLife(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.Duration = duration(longestToken)
	})})
	first := w.key(ns, "shop").Status.ActiveKeyID

	w.step(period - lead - time.Second)
	w.settles(ns, "shop", "one Active key", func(s map[v1alpha1.KeyState][]string) bool {
		return len(s[v1alpha1.KeyPending]) == 0 && len(s[v1alpha1.KeyActive]) == 1
	})
	w.step(time.Second)
	w.settles(ns, "shop", "a Pending key a lead before the first has signed for its period", func(s map[v1alpha1.KeyState][]string) bool {
		return len(s[v1alpha1.KeyPending]) == 1 && slices.Equal(s[v1alpha1.KeyActive], []string{first})
	})
	w.eventually("the Pending key is published", func() error {
		key := w.key(ns, "shop")
		ids := published(t, w.configMap(ns, "shop-jwks").Data["jwks.json"])
		if len(ids) != 2 || key.Status.Keys[0].PublishedAt == nil {
			return fmt.Errorf("published are %v, status is %+v", ids, key.Status.Keys)
		}
		return nil
	})
	due := w.key(ns, "shop").Status.NextTransitionTime.Time
	w.step(due.Sub(w.now()) - time.Second)
	w.settles(ns, "shop", "the first key still signs", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyActive], []string{first})
	})
	w.step(time.Second)
	w.settles(ns, "shop", "the first key is Retired", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRetired], []string{first}) && len(s[v1alpha1.KeyActive]) == 1
	})
	next := w.key(ns, "shop").Status.Keys[0]
	if !next.ActivatedAt.Time.Equal(due) || next.ActivatedAt.Sub(next.PublishedAt.Time) < lead {
		t.Errorf("the key published at %s was activated at %s, want %s later, at %s", next.PublishedAt, next.ActivatedAt, lead, due)
	}
	w.step(longestToken + 2*skew + staleness - time.Second)
	w.settles(ns, "shop", "the first key stays published", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Contains(s[v1alpha1.KeyRetired], first)
	})
	w.step(2 * time.Second)
	w.settles(ns, "shop", "the first key is removed", func(s map[v1alpha1.KeyState][]string) bool {
		return !slices.Contains(s[v1alpha1.KeyRetired], first)
	})
	w.eventually("the first key leaves the JWKS", func() error {
		if ids := published(t, w.configMap(ns, "shop-jwks").Data["jwks.json"]); slices.Contains(ids, first) {
			return fmt.Errorf("published are %v", ids)
		}
		return w.verifies(ns, "cart", "shop")
	})
}

// settles waits until the keys of a SigningKey are in the states that want describes.
func (w *world) settles(ns, name, what string, want func(map[v1alpha1.KeyState][]string) bool) {
	w.t.Helper()
	w.eventually(what, func() error {
		if s := states(w.key(ns, name)); !want(s) {
			return fmt.Errorf("keys are %v at %s", s, w.now())
		}
		return nil
	})
}

func TestARotationReissuesNoTokenThatIsStillGood(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.Duration = duration(longestToken)
	})})
	before := string(w.secret(ns, "cart").Data["token"])
	key := w.key(ns, "shop")
	w.patch(key, func() { key.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"} })
	w.settles(ns, "shop", "a Pending key", func(s map[v1alpha1.KeyState][]string) bool { return len(s[v1alpha1.KeyPending]) == 1 })
	w.eventually("the next transition is known", func() error {
		if w.key(ns, "shop").Status.Keys[0].PublishedAt == nil {
			return fmt.Errorf("not published")
		}
		return nil
	})
	w.step(lead + time.Second)
	w.settles(ns, "shop", "the requested rotation", func(s map[v1alpha1.KeyState][]string) bool { return len(s[v1alpha1.KeyRetired]) == 1 })
	if after := string(w.secret(ns, "cart").Data["token"]); after != before {
		t.Error("the token was re-issued although it was still good")
	}
	w.must(w.verifies(ns, "cart", "shop"))
}

func TestATokenIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	first := w.token(ns, "cart").Status
	due := first.NextRenewalTime.Sub(first.IssuedAt.Time)
	if due > life*2/3 || due < life*2/3-life/10 {
		t.Errorf("renewal is due after %s, want two thirds of %s less at most a tenth", due, life)
	}
	w.op.requests.forget()
	w.step(due - time.Second)
	w.step(time.Second)
	w.eventually("the token is renewed", func() error {
		if now := w.token(ns, "cart").Status; now.TokenID == first.TokenID {
			return fmt.Errorf("still token %s", now.TokenID)
		}
		return w.verifies(ns, "cart", "shop")
	})
	if writes := w.op.requests.objectWrites(ns, "cart"); len(writes) != 2 {
		t.Errorf("a renewal took %v, want the Secret and the status", writes)
	}
}

func TestAChangeOfAlgorithmLeavesNoGap(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	for _, algorithm := range []v1alpha1.Algorithm{"RS256", "EdDSA"} {
		key := w.key(ns, "shop")
		w.patch(key, func() { key.Spec.Algorithm = algorithm })
		w.eventually("a published Pending key of the new algorithm", func() error {
			k := w.key(ns, "shop").Status.Keys[0]
			if k.State != v1alpha1.KeyPending || k.Algorithm != algorithm || k.PublishedAt == nil {
				return fmt.Errorf("newest key is %+v", k)
			}
			return w.verifies(ns, "cart", "shop")
		})
		for range 3 {
			w.step(lead/3 + time.Second)
			w.eventually("the token verifies", func() error { return w.verifies(ns, "cart", "shop") })
		}
		w.eventually("the new algorithm signs", func() error {
			status := w.key(ns, "shop").Status
			if status.Keys[0].Algorithm != algorithm || status.ActiveKeyID != status.Keys[0].ID {
				return fmt.Errorf("keys are %+v", status.Keys)
			}
			return nil
		})
	}
}

func TestARevokedKeyVerifiesNowhere(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{
		newToken(ns, "cart", "shop"), newToken(ns, "search", "shop"),
	})
	key := w.key(ns, "shop")
	bad := key.Status.ActiveKeyID
	stolen := string(w.secret(ns, "cart").Data["token"])
	w.patch(key, func() { key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(bad)} })

	w.eventually("the revoked key leaves the JWKS", func() error {
		cm := w.configMap(ns, "shop-jwks")
		if ids := published(t, cm.Data["jwks.json"]); slices.Contains(ids, bad) || len(ids) == 0 {
			return fmt.Errorf("published are %v", ids)
		}
		if _, err := verify(stolen, cm.Data["jwks.json"], w.now(), cm.Data["issuer"]); err == nil {
			return fmt.Errorf("the stolen token still verifies")
		}
		return nil
	})
	for _, name := range []string{"cart", "search"} {
		w.eventually(name+" is re-issued", func() error {
			if id := w.token(ns, name).Status.KeyID; id == bad {
				return fmt.Errorf("still signed by the revoked key")
			}
			return w.verifies(ns, name, "shop")
		})
		w.eventually("its event says why", func() error { return w.hasEvent(ns, v1alpha1.ReasonIssued, name, "its key was revoked") })
	}
	w.settles(ns, "shop", "the revoked key is denied", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRevoked], []string{bad})
	})
}

func TestCopiesFollowTheLabelsOfNamespaces(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	mark := map[string]string{"jwks": ns}
	chosen, other := suite.Namespace(t, mark), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop", func(k *v1alpha1.SigningKey) {
		k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: mark}
	})}, nil)
	w.hasCopy(chosen, "shop-jwks", w.configMap(ns, "shop-jwks").Data["jwks.json"])

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}}
	w.patch(namespace, func() { namespace.Labels = mark })
	w.hasCopy(other, "shop-jwks", w.configMap(ns, "shop-jwks").Data["jwks.json"])
	w.patch(namespace, func() { namespace.Labels = nil })
	w.gone(other, "shop-jwks")

	key := w.key(ns, "shop")
	w.patch(key, func() { key.Spec.JWKS.Name = "renamed" })
	w.hasCopy(chosen, "renamed", w.configMap(ns, "shop-jwks").Data["jwks.json"])
	w.gone(chosen, "shop-jwks")

	w.must(w.c.Delete(t.Context(), w.key(ns, "shop")))
	w.gone(chosen, "renamed")
}

func (w *world) hasCopy(ns, name, jwks string) {
	w.t.Helper()
	w.eventually("a copy in "+ns, func() error {
		cm, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &corev1.ConfigMap{})
		if err == nil && cm.Data["jwks.json"] != jwks {
			err = fmt.Errorf("the copy differs")
		}
		return err
	})
}

func (w *world) gone(ns, name string) {
	w.t.Helper()
	w.eventually("no copy in "+ns, func() error {
		_, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &corev1.ConfigMap{})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err == nil {
			return fmt.Errorf("still there")
		}
		return nil
	})
}

func TestAnEndedRequestIsWithdrawn(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	ends := w.now().Add(90 * time.Minute)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.ExpiresAt = &metav1.Time{Time: ends}
	})})
	w.step(80 * time.Minute)
	w.eventually("the last token ends with the request", func() error {
		if exp := w.token(ns, "cart").Status.ExpiresAt; !exp.Time.Equal(ends) {
			return fmt.Errorf("expires at %s, want %s", exp, ends)
		}
		return w.verifies(ns, "cart", "shop")
	})
	w.step(10 * time.Minute)
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonExpired)
	if data := w.secret(ns, "cart").Data; len(data) != 0 {
		t.Errorf("the Secret still holds %d entries", len(data))
	}

	// Nobody has waited for the next one since the ServiceToken was created, as for a new one.
	const missing, fresh = `keyturn_servicetoken_issued_total{reason="Missing"}`, `keyturn_servicetoken_issued_total{reason="New"}`
	before, token := allSeries(t), w.token(ns, "cart")
	w.patch(token, func() { token.Spec.ExpiresAt = &metav1.Time{Time: ends.Add(30 * 24 * time.Hour)} })
	w.tokenIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonIssued)
	w.tells(missing, before[missing]+1)
	w.tells(fresh, before[fresh])
}
