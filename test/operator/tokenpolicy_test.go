package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
)

func newPolicy(ns, name, key string) *v1alpha1.TokenPolicy {
	return &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.TokenPolicySpec{
			Issuers:   []v1alpha1.PolicyIssuer{{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: key}}},
			Audiences: []v1alpha1.Audience{"https://orders.example"},
		},
	}
}

// policyIs waits until a TokenPolicy says that of itself, and removes it when the test ends.
func (w *world) policyIs(policy *v1alpha1.TokenPolicy, reason string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("TokenPolicy %s is %s", policy.Name, reason), func() error {
		now, err := read(w, client.ObjectKeyFromObject(policy), &v1alpha1.TokenPolicy{})
		ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
		if err == nil && (ready == nil || ready.Reason != reason || now.Status.ObservedGeneration != now.Generation) {
			err = fmt.Errorf("status %+v", now.Status)
		}
		return err
	})
}

func (w *world) apply(policy *v1alpha1.TokenPolicy) {
	w.t.Helper()
	w.create(policy)
	w.t.Cleanup(func() { w.must(client.IgnoreNotFound(w.c.Delete(context.WithoutCancel(w.t.Context()), policy))) })
}

// access signs a token as an application does that mounts the key.
func (w *world) access(ns, key string, life time.Duration) string {
	w.t.Helper()
	private, err := jose.ParsePrivateKey(w.secret(ns, key+"-signing-key").Data["signing-key.jwk"])
	w.must(err)
	claims, err := json.Marshal(map[string]any{
		"iss": w.key(ns, key).Status.Issuer, "aud": "https://orders.example", "sub": "alice", "exp": w.now().Add(life).Unix(),
	})
	w.must(err)
	compact, err := jose.Sign(private, jose.TypeJWT, claims)
	w.must(err)
	return compact.Reveal()
}

// present asks the gate, and returns its status and what it says when.
func (v *verifier) present(path, token string) (status int, retryAfter string) {
	v.w.t.Helper()
	request, err := http.NewRequestWithContext(v.w.t.Context(), http.MethodGet, v.url+path, http.NoBody)
	v.w.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := v.client.Do(request)
	v.w.must(err)
	_, err = io.Copy(io.Discard, response.Body)
	v.w.must(err, response.Body.Close())
	return response.StatusCode, response.Header.Get("Retry-After")
}

func TestATokenPolicySaysWhetherItsKeysAreAtHand(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	policy := newPolicy(ns, "api", "shop")
	w.apply(policy)
	w.policyIs(policy, v1alpha1.ReasonSigningKeyNotFound)
	w.eventually("an event tells", func() error {
		return w.hasEvent(ns, v1alpha1.ReasonSigningKeyNotFound, "api", "there is no SigningKey")
	})
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	w.policyIs(policy, v1alpha1.ReasonKeysAtHand)
	twice := newPolicy(ns, "twice", "late")
	late := newKey(ns, "late")
	twice.Spec.Issuers = append(twice.Spec.Issuers, v1alpha1.PolicyIssuer{External: &v1alpha1.ExternalIssuer{Issuer: late.Spec.Issuer}})
	w.apply(twice)
	w.policyIs(twice, v1alpha1.ReasonSigningKeyNotFound)
	// Admission could not know that the key, which came later, is of the same issuer.
	w.ready(ns, []*v1alpha1.SigningKey{late}, nil)
	w.policyIs(twice, v1alpha1.ReasonInvalidSpec)

	w.op.requests.forget()
	key := w.key(ns, "shop")
	before := gauge(t, reconciles)
	w.patch(key, func() { key.Labels = map[string]string{"a": "b"} })
	w.eventually("it is looked at again", func() error {
		if gauge(t, reconciles) == before {
			return fmt.Errorf("%v reconciles", before)
		}
		return nil
	})
	w.settled(1)
	if writes := w.op.requests.objectWrites(ns, "api"); len(writes) > 0 {
		t.Errorf("although nothing is new, it is written: %v", writes)
	}
}

// Nobody can revoke while the API server is away, and tokens that are out must verify.
func TestTheGateGoesOnThroughAnOutageForAWhile(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop", func(k *v1alpha1.SigningKey) {
		k.Spec.Rotation = v1alpha1.RotationSpec{VerifierCacheDuration: duration(10 * time.Minute)}
	})}, nil)
	policy := newPolicy(ns, "api", "shop")
	w.apply(policy)
	w.policyIs(policy, v1alpha1.ReasonKeysAtHand)
	path, good, short := "/verify/"+ns+"/api", w.access(ns, "shop", time.Hour), w.access(ns, "shop", 3*time.Minute)
	mustBe := func(when, token string, want int) {
		t.Helper()
		if got, retry := v.present(path, token); got != want || (retry != "") != (want == http.StatusServiceUnavailable) {
			t.Errorf("%s: status %d, Retry-After %q, want %d", when, got, retry, want)
		}
	}
	mustBe("before", good, 200)
	w.op.requests.cut(true)
	w.op.clock.Step(5 * time.Minute)
	mustBe("after five minutes", good, 200)
	mustBe("an expired token", short, 401)
	mustBe("no token", "", 401)
	if v.isReady() == nil {
		t.Error("the replica is ready")
	}
	w.op.clock.Step(6 * time.Minute)
	mustBe("after eleven minutes", good, 503)
	w.op.requests.cut(false)
	w.op.clock.Step(time.Second)
	w.eventually("the gate lets in again", func() error {
		w.op.clock.Step(time.Second)
		if got, _ := v.present(path, good); got != http.StatusOK {
			return fmt.Errorf("status %d", got)
		}
		return nil
	})
}
