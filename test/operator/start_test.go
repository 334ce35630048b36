package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

// remove deletes an object that other tests may have left.
func remove(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := client.IgnoreNotFound(suite.Client(t).Delete(t.Context(), object)); err != nil {
			t.Fatal(err)
		}
	}
}

// notUs is a webhook configuration that leads to nobody: the operator listens elsewhere, as if no Service led to it.
func notUs(t *testing.T, probes string) setup {
	t.Helper()
	return replica(address(t), probes)
}

func TestTheOperatorStartsAndWorksWhileItsWebhooksLeadToNobody(t *testing.T) {
	ns, probes := suite.Namespace(t, nil), address(t)
	c := suite.Client(t)
	own := metav1.ObjectMeta{Namespace: "keyturn-system"}
	certificate, ca := &corev1.Secret{ObjectMeta: own}, &corev1.ConfigMap{ObjectMeta: own}
	certificate.Name, ca.Name = "keyturn-webhook-cert", "keyturn-ca"
	remove(t, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "keyturn"}}, certificate, ca)
	for _, object := range []client.Object{newKey(ns, "shop"), newToken(ns, "cart", "shop")} {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}

	w := begin(t, notUs(t, probes), func(options *app.Options, _ *rest.Config) { options.ShutdownDelay = 0 })
	w.eventually("it is ready", func() error { return w.probe(probes) })
	w.leads()
	w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.tokenIs(ns, "cart", metav1.ConditionTrue, v1alpha1.ReasonIssued)
	w.must(w.verifies(ns, "cart", "shop"))
	first := w.token(ns, "cart").Status.TokenID
	w.step(life)
	w.eventually("a renewal", func() error {
		if id := w.token(ns, "cart").Status.TokenID; id == first {
			return fmt.Errorf("still %s", id)
		}
		return w.verifies(ns, "cart", "shop")
	})

	const down = "failed calling webhook"
	copied := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "copy"}, Type: v1alpha1.SecretTypeToken}
	for _, object := range []client.Object{newKey(ns, "other"), newToken(ns, "other", "shop"), copied} {
		if err := c.Create(t.Context(), object, client.DryRunAll); err == nil || !strings.Contains(err.Error(), down) {
			t.Errorf("a new %T of somebody else ends with %v, want %q", object, err, down)
		}
	}
	remove(t, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "keyturn"}})
}

// Whoever must get out of a webhook that does harm deletes the configuration, and installs it anew later.
func TestTheOperatorWorksOnWithoutAWebhookConfigurationAndFillsANewOne(t *testing.T) {
	ns, probes := suite.Namespace(t, nil), address(t)
	w := begin(t, func(options *app.Options, _ *rest.Config) { options.ProbeAddress = probes })
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	w.eventually("it is ready", func() error { return w.probe(probes) })
	remove(t, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "keyturn"}})

	invalid := newKey(ns, "brief", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = duration(time.Second) })
	w.eventually("what is invalid is not refused any more", func() error { return w.c.Create(t.Context(), invalid, client.DryRunAll) })
	w.rotates(ns, "shop")
	w.eventually("it is ready without", func() error { return w.probe(probes) })

	installWebhooks(t, w.c)
	w.eventually("what is invalid is refused again", func() error {
		w.op.clock.Step(time.Minute)
		if err := w.c.Create(t.Context(), invalid, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "denied the request") {
			return fmt.Errorf("it ends with %w", err)
		}
		return nil
	})
	w.eventually("it is ready", func() error { return w.probe(probes) })
}

func TestACertificateOfSomebodyElseIsWaitedForAndNotMade(t *testing.T) {
	probes := address(t)
	certificate := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "keyturn-system", Name: "keyturn-webhook-cert"}}
	remove(t, certificate)
	w := begin(t, func(options *app.Options, _ *rest.Config) {
		options.ExternalCertificate, options.ProbeAddress = true, probes
	})
	w.eventually("the log says what is missing", func() error {
		if !strings.Contains(logged.String(), "does not exist, and as it is external Keyturn does not create it") {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	w.eventually("it is not ready", func() error {
		if err := w.probe(probes); err == nil || !strings.Contains(err.Error(), "[+]cluster-view") || !strings.Contains(err.Error(), "[-]webhook-certificate") {
			return fmt.Errorf("the probe says %w", err)
		}
		return nil
	})
	if err := w.c.Get(t.Context(), client.ObjectKeyFromObject(certificate), certificate); !apierrors.IsNotFound(err) {
		t.Errorf("reading the Secret ends with %v, and it must not be there", err)
	}
}
