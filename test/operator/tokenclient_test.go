package operator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

const externalURL = "https://jwt.example"

func newClient(ns, name, key string, change ...func(*v1alpha1.TokenClient)) *v1alpha1.TokenClient {
	c := &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:  v1alpha1.SigningKeyReference{Name: key},
			Authentication: v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}},
			Audiences:      []v1alpha1.Audience{"https://api.example"},
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// beginAnswering starts an operator that has token endpoints.
func beginAnswering(t *testing.T, change ...setup) *world {
	t.Helper()
	serve := func(o *app.Options, _ *rest.Config) { o.Operator.ExternalURL = externalURL }
	return begin(t, append([]setup{serve}, change...)...)
}

func (w *world) client(ns, name string) *v1alpha1.TokenClient {
	w.t.Helper()
	c, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &v1alpha1.TokenClient{})
	w.must(err)
	return c
}

func (w *world) clientIs(ns, name string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	w.eventually("TokenClient "+name, func() error {
		c := w.client(ns, name)
		return conditionIs(c, c.Status.Conditions, v1alpha1.ConditionReady, status, reason)
	})
}

// serving applies a TokenClient of the key "shop" and waits until it can ask for tokens.
func (w *world) serving(c *v1alpha1.TokenClient) {
	w.t.Helper()
	w.ready(c.Namespace, []*v1alpha1.SigningKey{newKey(c.Namespace, "shop")}, nil)
	w.create(c)
	w.clientIs(c.Namespace, c.Name, metav1.ConditionTrue, v1alpha1.ReasonServing)
}

func (w *world) events(ns, reason string) []string {
	w.t.Helper()
	var list eventsv1.EventList
	w.must(w.c.List(w.t.Context(), &list, client.InNamespace(ns)))
	var notes []string
	for i := range list.Items {
		if list.Items[i].Reason == reason {
			notes = append(notes, list.Items[i].Type+" "+list.Items[i].Note)
		}
	}
	slices.Sort(notes)
	return notes
}

func texts(data map[string][]byte) map[string]string {
	found := map[string]string{}
	for k, v := range data {
		found[k] = string(v)
	}
	return found
}

func TestAClientGetsASecretAndIsToldWhereToAsk(t *testing.T) {
	w, ns := beginAnswering(t), suite.Namespace(t, nil)
	w.serving(newClient(ns, "cart", "shop"))

	secret, endpoint := w.secret(ns, "cart-client"), externalURL+"/"+ns+"/shop/token"
	generated := string(secret.Data["client-secret"])
	if !strings.HasPrefix(generated, "kts_") || len(generated) != len("kts_")+43 {
		t.Errorf("the client secret has %d characters, want kts_ and 256 bits in base64url", len(generated))
	}
	want := map[string]string{"client-id": ns + ".cart", "client-secret": generated, "token-endpoint": endpoint}
	if diff := cmp.Diff(want, texts(secret.Data)); diff != "" {
		t.Errorf("Secret (-want +got):\n%s", diff)
	}
	if secret.Type != "keyturn.dev/client-secret" || secret.Labels["keyturn.dev/token-client"] != "cart" || !metav1.IsControlledBy(secret, w.client(ns, "cart")) {
		t.Errorf("the Secret is of type %s, labelled %v and owned by %v", secret.Type, secret.Labels, secret.OwnerReferences)
	}
	status := w.client(ns, "cart").Status
	status.Conditions = nil
	told := v1alpha1.TokenClientStatus{ObservedGeneration: 1, ClientID: ns + ".cart", TokenEndpoint: endpoint, SecretName: "cart-client"}
	if diff := cmp.Diff(told, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if strings.Contains(logged.String(), generated) {
		t.Error("the log has the client secret")
	}
}

func TestASettledClientCostsNothing(t *testing.T) {
	w, ns := beginAnswering(t), suite.Namespace(t, nil)
	w.serving(newClient(ns, "cart", "shop"))
	secret := w.secret(ns, "cart-client")
	w.op.stop()
	w.op = startOperator(t, w.op.clock, func(o *app.Options, _ *rest.Config) { o.Operator.ExternalURL = externalURL })
	w.create(newClient(ns, "later", "shop"))
	w.clientIs(ns, "later", metav1.ConditionTrue, v1alpha1.ReasonServing)
	if found := w.op.requests.objectWrites(ns, "cart"); len(found) > 0 {
		t.Errorf("a restart writes %v", found)
	}
	if w.secret(ns, "cart-client").ResourceVersion != secret.ResourceVersion {
		t.Error("a restart writes the Secret")
	}
	w.settled(0)
	w.op.requests.forget()
	done := int(gauge(t, reconciles) - w.op.reconcilesBefore)
	w.look()
	w.settled(done + 3)
	if w.op.requests.has("", "/namespaces/"+ns+"/") {
		t.Errorf("looking again made calls: %v and %v", w.op.requests.writes(), w.op.requests.reads())
	}
}

func TestARotatedClientSecretLeavesTheOneBeforeValidForAWhile(t *testing.T) {
	w, ns := beginAnswering(t), suite.Namespace(t, nil)
	c := newClient(ns, "cart", "shop", func(c *v1alpha1.TokenClient) {
		c.Spec.Authentication.ClientSecret.OverlapDuration = duration(time.Hour)
	})
	w.serving(c)
	first := string(w.secret(ns, "cart-client").Data["client-secret"])

	w.patch(c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"} })
	w.eventually("the secret is rotated", func() error { return unlike(w.secret(ns, "cart-client"), first) })
	secret, ends := w.secret(ns, "cart-client"), w.now().Add(time.Hour)
	if got := string(secret.Data["previous-client-secret"]); got != first {
		t.Errorf("previous-client-secret is not the client secret before")
	}
	if diff := cmp.Diff(ends.UTC().Format(time.RFC3339), secret.Annotations["keyturn.dev/previous-secret-expires-at"]); diff != "" {
		t.Errorf("end of the one before (-want +got):\n%s", diff)
	}
	w.eventually("the status tells its end", func() error {
		if told := w.client(ns, "cart").Status.PreviousSecretExpiresAt; told == nil || !told.Equal(&metav1.Time{Time: ends}) {
			return fmt.Errorf("it is %v", told)
		}
		return nil
	})
	second := string(secret.Data["client-secret"])

	w.step(time.Hour - time.Second)
	w.op.stop()
	w.op = startOperator(t, w.op.clock, func(o *app.Options, _ *rest.Config) { o.Operator.ExternalURL = externalURL })
	w.clientIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonServing)
	w.step(time.Second)
	w.eventually("the one before is removed", func() error {
		found := w.secret(ns, "cart-client")
		if _, there := found.Data["previous-client-secret"]; there || w.client(ns, "cart").Status.PreviousSecretExpiresAt != nil {
			return fmt.Errorf("it is still there, or in the status")
		}
		return nil
	})
	if got := string(w.secret(ns, "cart-client").Data["client-secret"]); got != second {
		t.Error("the client secret was rotated without anybody asking")
	}
}

func unlike(secret *corev1.Secret, before string) error {
	if string(secret.Data["client-secret"]) == before {
		return fmt.Errorf("it is the same")
	}
	return nil
}

func TestALostClientSecretIsMadeAnewAndAnEventSaysSo(t *testing.T) {
	w, ns := beginAnswering(t), suite.Namespace(t, nil)
	w.serving(newClient(ns, "cart", "shop"))
	first := string(w.secret(ns, "cart-client").Data["client-secret"])
	w.must(w.c.Delete(t.Context(), w.secret(ns, "cart-client")))
	w.eventually("another secret", func() error {
		found, err := read(w, client.ObjectKey{Namespace: ns, Name: "cart-client"}, &corev1.Secret{})
		if err != nil {
			return err
		}
		return unlike(found, first)
	})
	w.eventually("the event", func() error {
		want := []string{
			"Normal Secret cart-client: a client secret was generated",
			"Warning Secret cart-client: the Secret was lost, and another client secret was generated: whoever has the one before has to read it anew",
		}
		if diff := cmp.Diff(want, w.events(ns, v1alpha1.ReasonClientSecretGenerated)); diff != "" {
			return fmt.Errorf("events (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestAClientThatProvesItselfInAnotherWayLosesItsSecret(t *testing.T) {
	w, ns := beginAnswering(t), suite.Namespace(t, nil)
	c := newClient(ns, "cart", "shop")
	w.serving(c)
	w.patch(c, func() {
		c.Spec.Authentication = v1alpha1.ClientAuthentication{
			ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Names: []v1alpha1.ServiceAccountName{"cart"}},
		}
	})
	w.eventually("the Secret is deleted", func() error {
		err := w.c.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "cart-client"}, &corev1.Secret{})
		if !apierrors.IsNotFound(err) || w.client(ns, "cart").Status.SecretName != "" {
			return fmt.Errorf("it is there, or in the status (%w)", err)
		}
		return nil
	})
	w.clientIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonServing)
}

// given is a Secret as a user makes one for the client "cart".
func given(ns, secret string, change ...func(*corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cart-client", Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}},
		Type:       v1alpha1.SecretTypeClientSecret,
		Data:       map[string][]byte{"client-secret": []byte(secret)},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func TestASecretThatSomebodyElseMadeIsNeverWritten(t *testing.T) {
	long := strings.Repeat("x", 32)
	for sentence, c := range map[string]struct {
		secret func(ns string) *corev1.Secret
		status metav1.ConditionStatus
		reason string
	}{
		"one of the right type and label is used": {
			func(ns string) *corev1.Secret { return given(ns, long) }, metav1.ConditionTrue, v1alpha1.ReasonServing,
		},
		"one without a client secret is no use": {
			func(ns string) *corev1.Secret { return given(ns, "") }, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid,
		},
		"one that is too short is no use": {
			func(ns string) *corev1.Secret { return given(ns, long[1:]) }, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid,
		},
		"one with a line break at its end is no use": {
			func(ns string) *corev1.Secret { return given(ns, long+"\n") }, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid,
		},
		"one of another type is foreign": {
			func(ns string) *corev1.Secret {
				return given(ns, long, func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque })
			}, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict,
		},
		"one without the label is foreign": {
			func(ns string) *corev1.Secret { return given(ns, long, func(s *corev1.Secret) { s.Labels = nil }) },
			metav1.ConditionFalse, v1alpha1.ReasonSecretConflict,
		},
		"one of another client is foreign": {
			func(ns string) *corev1.Secret {
				return given(ns, long, func(s *corev1.Secret) { s.Labels[v1alpha1.LabelTokenClient] = "other" })
			}, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w, ns := beginAnswering(t), suite.Namespace(t, nil)
			secret := c.secret(ns)
			w.create(secret)
			object := newClient(ns, "cart", "shop")
			w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
			w.create(object)
			w.clientIs(ns, "cart", c.status, c.reason)
			w.patch(object, func() { object.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"} })
			w.look()
			w.clientIs(ns, "cart", c.status, c.reason)
			if got := w.secret(ns, "cart-client"); got.ResourceVersion != secret.ResourceVersion {
				t.Errorf("it was written: %v", got.ManagedFields)
			}
		})
	}
}

func TestAClientThatCannotAskForTokensSaysWhy(t *testing.T) {
	elsewhere := func(o *app.Options, _ *rest.Config) { o.Operator.ExternalURL = "" }
	for sentence, c := range map[string]struct {
		operator setup
		key      func(*v1alpha1.SigningKey)
		client   func(*v1alpha1.TokenClient)
		reason   string
	}{
		"there is no such key": {
			client: func(c *v1alpha1.TokenClient) { c.Spec.SigningKeyRef.Name = "nowhere" }, reason: v1alpha1.ReasonSigningKeyNotFound,
		},
		"the issuer is no URL": {
			key: func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "shop" }, reason: v1alpha1.ReasonEndpointMissing,
		},
		"the operator serves nothing": {
			operator: func(o *app.Options, _ *rest.Config) { o.HTTPSAddress = "0" }, reason: v1alpha1.ReasonEndpointMissing,
		},
		"refresh tokens can be kept nowhere": {
			client: func(c *v1alpha1.TokenClient) {
				c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken}
			}, reason: v1alpha1.ReasonTokenStoreMissing,
		},
		"an issuer on a host of its own needs no external URL": {operator: elsewhere, reason: v1alpha1.ReasonServing},
	} {
		t.Run(sentence, func(t *testing.T) {
			none := func(*app.Options, *rest.Config) {}
			if c.operator == nil {
				c.operator = none
			}
			w, ns := beginAnswering(t, c.operator), suite.Namespace(t, nil)
			key, object := newKey(ns, "shop"), newClient(ns, "cart", "shop")
			if c.key != nil {
				c.key(key)
			}
			if c.client != nil {
				c.client(object)
			}
			w.ready(ns, []*v1alpha1.SigningKey{key}, nil)
			w.create(object)
			status := metav1.ConditionFalse
			if c.reason == v1alpha1.ReasonServing {
				status = metav1.ConditionTrue
			}
			w.clientIs(ns, "cart", status, c.reason)
		})
	}
}

func TestAClientIsServedWhileTheKeyAllowsIt(t *testing.T) {
	w, ns, other := beginAnswering(t), suite.Namespace(t, nil), suite.Namespace(t, nil)
	key := newKey(ns, "shop", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromAll })
	w.ready(ns, []*v1alpha1.SigningKey{key}, nil)
	w.create(newClient(other, "cart", "shop", func(c *v1alpha1.TokenClient) { c.Spec.SigningKeyRef.Namespace = ns }))
	w.clientIs(other, "cart", metav1.ConditionTrue, v1alpha1.ReasonServing)
	w.patch(key, func() { key.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromSame })
	w.clientIs(other, "cart", metav1.ConditionFalse, v1alpha1.ReasonNotAllowed)
	w.patch(key, func() { key.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromAll })
	w.clientIs(other, "cart", metav1.ConditionTrue, v1alpha1.ReasonServing)
	w.patch(key, func() { key.Spec.Tokens.MaxDuration = duration(9 * time.Minute) })
	w.clientIs(other, "cart", metav1.ConditionFalse, v1alpha1.ReasonNotAllowed)
}

func TestAClientThatANewOperatorDoesNotAllowSaysSo(t *testing.T) {
	w, ns := beginAnswering(t), suite.Namespace(t, nil)
	w.serving(newClient(ns, "cart", "shop"))
	w.op.stop()
	w.op = startOperator(t, w.op.clock, func(o *app.Options, _ *rest.Config) {
		o.Operator.ExternalURL, o.Operator.MinimumDuration = externalURL, time.Hour
	})
	w.clientIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
}

func TestAClientWhoseEndpointWouldBeTheGateSaysSo(t *testing.T) {
	w := beginAnswering(t)
	const ns = "verify"
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	w.create(newClient(ns, "cart", "shop"))
	w.clientIs(ns, "cart", metav1.ConditionFalse, v1alpha1.ReasonEndpointMissing)
	if endpoint := w.client(ns, "cart").Status.TokenEndpoint; endpoint != "" {
		t.Errorf("its token endpoint is %s", endpoint)
	}
}
