package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

func TestARestartedOperatorWritesNothing(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	const keys, tokens = 20, 180
	for i := range keys {
		w.create(newKey(ns, fmt.Sprintf("key-%d", i)))
	}
	for i := range tokens {
		w.create(newToken(ns, fmt.Sprintf("token-%d", i), fmt.Sprintf("key-%d", i%keys)))
	}
	w.eventually("all are Ready", func() error { return w.allReady(ns, keys, tokens) })
	w.op.stop()

	w.op = startOperator(t, w.op.clock)
	w.eventually("the webhook answers", func() error {
		return w.c.Create(t.Context(), newKey(ns, "probe"), client.DryRunAll)
	})
	w.look()
	w.settled(keys + tokens)
	if writes := w.op.requests.writes(); len(writes) > 0 {
		t.Errorf("the restarted operator wrote %d times, first %s", len(writes), writes[0])
	}
}

// settled waits until the operator's queues are empty and its workers idle, having finished at least that many
// reconciles since it was started.
func (w *world) settled(least int) {
	w.t.Helper()
	w.eventually("the operator comes to rest", func() error {
		done := gauge(w.t, reconciles) - w.op.reconcilesBefore
		busy := gauge(w.t, waiting) + gauge(w.t, running) - w.op.busyBefore
		if done < float64(least) || busy > 0 {
			return fmt.Errorf("%v reconciles are done, want %d; %v wait or run", done, least, busy)
		}
		return nil
	})
}

func (w *world) allReady(ns string, keys, tokens int) error {
	var k v1alpha1.SigningKeyList
	var s v1alpha1.ServiceTokenList
	if err := w.c.List(w.t.Context(), &k, client.InNamespace(ns)); err != nil {
		return err
	}
	if err := w.c.List(w.t.Context(), &s, client.InNamespace(ns)); err != nil {
		return err
	}
	ready := 0
	for i := range k.Items {
		if conditionIs(&k.Items[i], k.Items[i].Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady) == nil {
			ready++
		}
	}
	for i := range s.Items {
		if conditionIs(&s.Items[i], s.Items[i].Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonIssued) == nil {
			ready++
		}
	}
	if ready != keys+tokens {
		return fmt.Errorf("%d of %d are Ready", ready, keys+tokens)
	}
	return nil
}

func TestBadInputGetsAConditionAndAtMostOneWrite(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	for what, test := range map[string]struct {
		token  *v1alpha1.ServiceToken
		reason string
	}{
		"an unknown key": {newToken(ns, "unknown", "nobody"), v1alpha1.ReasonSigningKeyNotFound},
		"a key in a namespace that does not exist": {newToken(ns, "nowhere", "shop", func(s *v1alpha1.ServiceToken) {
			s.Spec.SigningKeyRef.Namespace = "does-not-exist"
		}), v1alpha1.ReasonSigningKeyNotFound},
	} {
		t.Run(what, func(t *testing.T) {
			w.op.requests.forget()
			w.create(test.token)
			w.tokenIs(ns, test.token.Name, metav1.ConditionFalse, test.reason)
			for range 3 {
				w.op.reconcilesBefore = gauge(t, reconciles)
				w.step(time.Minute)
				w.settled(2)
			}
			if writes := w.op.requests.objectWrites(ns, test.token.Name); len(writes) != 1 {
				t.Errorf("writes are %v, want the status once", writes)
			}
		})
	}
}

func TestATokenThatThePolicyRefusesLaterIsReportedAndKept(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	key := w.key(ns, "shop")
	w.patch(key, func() {
		key.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: `claims.aud.all(a, a == "https://other.example")`, Message: "only for other.example"}}
	})
	w.tokenIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonNotAllowed)
	w.must(w.verifies(ns, "cart", "shop"))
	token := w.token(ns, "cart")
	if message := token.Status.Conditions[0].Message; !strings.Contains(message, "only for other.example") {
		t.Errorf("the message %q does not show the rule's", message)
	}
}

func TestOfTwoKeysWithOneIssuerTheYoungerIsNotReady(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	same := func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "https://same." + ns + ".example" }
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "a-older", same)}, nil)
	w.create(newKey(ns, "b-younger", same))
	w.keyIs(ns, "b-younger", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonIssuerConflict)
	w.keyIs(ns, "a-older", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.must(w.c.Delete(t.Context(), w.key(ns, "a-older")))
	w.keyIs(ns, "b-younger", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestTheTemplateFillsTheSecret(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.Profile = v1alpha1.ProfileAccessToken
		s.Spec.Claims = &runtime.RawExtension{Raw: []byte(`{"scope":"read write","n":1}`)}
		s.Spec.SecretTemplate = &v1alpha1.SecretTemplate{
			Labels: map[string]v1alpha1.LabelValue{"tier": "gold"},
			Data:   map[string]v1alpha1.TemplateText{"header": "Authorization: Bearer {{ .Token }}"},
		}
	})})
	secret := w.secret(ns, "cart")
	if got, want := string(secret.Data["header"]), "Authorization: Bearer "+string(secret.Data["token"]); got != want {
		t.Error("the header is not the rendered template")
	}
	if secret.Labels["tier"] != "gold" {
		t.Errorf("labels are %v", secret.Labels)
	}
	token := w.token(ns, "cart")
	w.patch(token, func() { token.Spec.SecretTemplate = nil })
	w.eventually("what the template added is gone", func() error {
		if s := w.secret(ns, "cart"); len(s.Data) != 1 || s.Labels["tier"] != "" {
			return fmt.Errorf("entries %d, labels %v", len(s.Data), s.Labels)
		}
		return nil
	})
}

// A new token is two writes: it costs no read of its own, and what it writes makes no further work.
func TestANewTokenCostsTwoWritesAndNoRead(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "first", "shop")})
	w.settled(1)
	w.op.requests.forget()
	const tokens = 20
	for i := range tokens {
		w.create(newToken(ns, fmt.Sprintf("token-%d", i), "shop"))
	}
	w.eventually("all are Ready", func() error { return w.allReady(ns, 1, 1+tokens) })
	w.settled(1)
	count := map[string]int{}
	for _, c := range w.op.requests.writes() {
		if !strings.Contains(c.path, "/events") {
			count[c.method+" "+c.path[strings.Index(c.path, ns)+len(ns):]]++
		}
	}
	if count["POST /secrets"] != tokens || len(count) != tokens+1 {
		t.Errorf("the writes are %v, want %d times POST /secrets, and one of each status", count, tokens)
	}
	for _, c := range w.op.requests.reads() {
		if strings.Contains(c.path, ns) {
			t.Errorf("it reads %s", c.path)
		}
	}
}

func TestWhatTheTemplateAddedGoesAlsoAfterARenewal(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) {
		s.Spec.SecretTemplate = &v1alpha1.SecretTemplate{
			Labels: map[string]v1alpha1.LabelValue{"tier": "gold"},
			Data:   map[string]v1alpha1.TemplateText{"header": "Authorization: Bearer {{ .Token }}"},
		}
	})})
	secret := w.secret(ns, "cart")
	first := string(secret.Data["token"])
	w.patch(secret, func() { secret.Labels["mine"] = "yes" })
	w.step(life)
	w.eventually("a renewal", func() error {
		s := w.secret(ns, "cart")
		if string(s.Data["token"]) == first || string(s.Data["header"]) != "Authorization: Bearer "+string(s.Data["token"]) {
			return fmt.Errorf("the token is the first one, or the header another")
		}
		return nil
	})
	token := w.token(ns, "cart")
	w.patch(token, func() { token.Spec.SecretTemplate = nil })
	w.eventually("what the template added is gone, and what a user added is not", func() error {
		if s := w.secret(ns, "cart"); len(s.Data) != 1 || s.Labels["tier"] != "" || s.Labels["mine"] != "yes" {
			return fmt.Errorf("entries %d, labels %v", len(s.Data), s.Labels)
		}
		return nil
	})
}
