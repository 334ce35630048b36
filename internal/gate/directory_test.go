package gate

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

func TestAPolicyIsMadeAnewOnlyIfWhatItIsMadeOfChanges(t *testing.T) {
	r, s := begun(t)
	key := r.key("orders", s)
	other := r.key("other", newSigner(t))
	object := &v1alpha1.TokenPolicy{}
	for _, step := range []struct {
		what string
		do   func()
		anew bool
	}{
		{"nothing", func() {}, false},
		{"the status of the policy", func() {
			r.must(r.cache.Get(t.Context(), nameOf("api"), object))
			object.Labels = map[string]string{"a": "b"}
			r.must(r.cache.Update(t.Context(), object))
			r.directory.heed(r.logs(), object)
		}, false},
		{"a key is added to the set", func() { r.publish("orders", s, newSigner(t)) }, false},
		{"another SigningKey", func() { r.write(other) }, false},
		{"the SigningKey, in what does not matter", func() { key.Spec.JWKS.Name = "x"; r.write(key) }, false},
		{"how long its keys may be kept", func() { key.Spec.Rotation.VerifierCacheDuration = duration(time.Minute); r.write(key) }, true},
		{"the SigningKey is gone", func() { r.remove(key) }, true},
		{"and comes again", func() { r.write(key) }, true},
		{"the spec of the policy", func() { r.policy(scope("orders:read")) }, true},
	} {
		before := r.directory.lookup(nameOf("api"))
		step.do()
		if got := r.directory.lookup(nameOf("api")) != before; got != step.anew {
			t.Errorf("%s: made anew %v, want %v", step.what, got, step.anew)
		}
	}
}

func TestAPolicyThatIsWrongOrGoneLetsNobodyIn(t *testing.T) {
	r, s := begun(t)
	policy := r.policy()
	mustBe := func(when string, want int) {
		t.Helper()
		if got := r.status(s.sign(nil)); got != want {
			t.Errorf("%s: got %d, want %d", when, got, want)
		}
	}
	mustBe("a good policy", 200)
	r.policy(rule("request.nothing", ""))
	mustBe("a rule that does not compile", 503)
	r.policy(header("X-Subject", "sub"), header("x-subject", "email"))
	mustBe("one header twice", 503)
	r.policy()
	mustBe("a good policy again", 200)
	r.remove(policy)
	mustBe("no policy", 404)
	policy = r.policy()
	mustBe("another one", 200)
	policy.Finalizers = []string{"example.com/wait"}
	r.write(policy)
	r.must(r.cache.Delete(t.Context(), policy))
	r.directory.heed(r.logs(), policy)
	mustBe("a policy that is being deleted", 404)
}

func TestTokensFollowTheSigningKey(t *testing.T) {
	r, s := begun(t, func(p *v1alpha1.TokenPolicySpec) {
		p.Issuers = append(p.Issuers, v1alpha1.PolicyIssuer{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: "orders", Namespace: "bank"}})
	})
	mustBe := func(when, token string, want int) {
		t.Helper()
		if got := r.status(token); got != want {
			t.Errorf("%s: got %d, want %d", when, got, want)
		}
	}
	second := newSigner(t)
	theirs := second.sign(claims{"iss": external + "/bank/orders"})
	mustBe("one SigningKey is there", s.sign(nil), 200)
	mustBe("and the other is not", theirs, 401)
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "orders", UID: "bank"}}
	r.published[types.NamespacedName{Namespace: "bank", Name: "orders"}] = jwks(t, second)
	r.write(key)
	mustBe("now it is", theirs, 200)
	mustBe("its key for the other issuer", second.sign(nil), 401)
	next := newSigner(t)
	r.publish("orders", s, next)
	mustBe("the next key, at once", next.sign(nil), 200)
	r.publish("orders", next)
	mustBe("a key that was revoked, although its token is remembered", s.sign(nil), 401)
	r.remove(key)
	mustBe("the other SigningKey is gone", theirs, 401)
	r.remove(&v1alpha1.SigningKey{ObjectMeta: named("orders")})
	mustBe("all are gone", next.sign(nil), 503)
}

func TestWhatKeepsAPolicyFromBeingReady(t *testing.T) {
	for name, test := range map[string]struct {
		change       func(*v1alpha1.TokenPolicySpec)
		reason, want string
	}{
		"nothing": {func(*v1alpha1.TokenPolicySpec) {}, "", ""},
		"a rule":  {rule("request.path", ""), v1alpha1.ReasonInvalidSpec, "spec.rules: rule 0"},
		"a header twice": {func(p *v1alpha1.TokenPolicySpec) {
			header("X-A", "a")(p)
			header("x-a", "b")(p)
		}, v1alpha1.ReasonInvalidSpec, "spec.headers[1].name: x-a"},
		"no such SigningKey": {func(p *v1alpha1.TokenPolicySpec) {
			p.Issuers = append(p.Issuers, v1alpha1.PolicyIssuer{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: "none"}})
		}, v1alpha1.ReasonSigningKeyNotFound, "spec.issuers[1].signingKeyRef: there is no SigningKey shop/none"},
		"a SigningKey without keys": {func(p *v1alpha1.TokenPolicySpec) {
			p.Issuers[0].SigningKeyRef.Name = "empty"
		}, v1alpha1.ReasonKeysUnavailable, "SigningKey shop/empty publishes no key"},
		"one issuer twice": {func(p *v1alpha1.TokenPolicySpec) {
			p.Issuers = append(p.Issuers, v1alpha1.PolicyIssuer{External: &v1alpha1.ExternalIssuer{Issuer: external + "/shop/orders"}})
		}, v1alpha1.ReasonInvalidSpec, "spec.issuers[1]: its issuer " + external + "/shop/orders is that of spec.issuers[0]"},
		"an issuer that is no URL": {func(p *v1alpha1.TokenPolicySpec) {
			p.Issuers = []v1alpha1.PolicyIssuer{{External: &v1alpha1.ExternalIssuer{Issuer: "somebody"}}}
		}, v1alpha1.ReasonInvalidSpec, "issuer somebody cannot be used: Name is not an https URL"},
		"a CA that is none": {func(p *v1alpha1.TokenPolicySpec) {
			p.Issuers = []v1alpha1.PolicyIssuer{{External: &v1alpha1.ExternalIssuer{Issuer: "https://a.example.com", CABundle: "CA"}}}
		}, v1alpha1.ReasonInvalidSpec, "issuer https://a.example.com cannot be used: CA has no certificate in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := begun(t)
			r.key("empty")
			r.policy(test.change)
			mustAssess(t, r, test.reason, test.want)
		})
	}
}

// mustAssess looks at the policy as the cache has it.
func mustAssess(t *testing.T, r *replica, reason, want string) {
	t.Helper()
	object := &v1alpha1.TokenPolicy{}
	r.must(r.cache.Get(t.Context(), nameOf("api"), object))
	err := r.directory.Assess(t.Context(), object)
	if reason == "" {
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	}
	if problem, ok := errors.AsType[*kube.ProblemError](err); !ok || problem.Reason != reason || !strings.Contains(problem.Message, want) {
		t.Errorf("got %v, want %s: %s", err, reason, want)
	}
}

func TestTheGateSaysThatItDoesNotFollowYet(t *testing.T) {
	r, _ := begun(t)
	object := &v1alpha1.TokenPolicy{}
	r.must(r.cache.Get(t.Context(), nameOf("api"), object))
	object.Generation++
	if err := r.directory.Assess(t.Context(), object); !errors.Is(err, ErrFollows) {
		t.Errorf("got %v", err)
	}
}
