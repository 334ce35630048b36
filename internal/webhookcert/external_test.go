package webhookcert

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
)

func externalOptions() Options {
	options := testOptions()
	options.External = true
	return options
}

// issued is what cert-manager leaves: no label of ours and no key of the CA.
func issued(t *testing.T, at time.Time) *corev1.Secret {
	t.Helper()
	data, err := build(t, generatedAt(Plan{RenewCA: true, IssueServing: true}, at)).encode()
	if err != nil {
		t.Fatal(err)
	}
	delete(data, authorityKeyEntry)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testOptions().Namespace, Name: testOptions().SecretName},
		Type:       corev1.SecretTypeTLS,
		Data:       data,
	}
}

func TestAnExternalCertificateIsReadFollowedAndNeverWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(externalOptions())
		pause(time.Minute)
		mustNotBeReady(t, manager, "secret keyturn-system/keyturn-webhook-cert does not exist, and as it is external")

		first := issued(t, clock.RealClock{}.Now())
		if err := c.Create(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		pause(time.Second)
		mustNotBeReady(t, manager, "unknown authority")
		half := c.configuration()
		half.Webhooks[0].ClientConfig.CABundle = first.Data[authoritiesEntry]
		if err := c.Update(t.Context(), half); err != nil {
			t.Fatal(err)
		}
		pause(time.Second)
		mustNotBeReady(t, manager, "and the caBundle of every webhook of "+
			"ValidatingWebhookConfiguration keyturn must hold its CA")
		c.setBundle(first.Data[authoritiesEntry])
		pause(time.Second)
		mustBeReady(t, c, manager)

		pause(day)
		second := c.secret()
		second.Data = issued(t, clock.RealClock{}.Now()).Data
		c.setBundle(append(first.Data[authoritiesEntry], second.Data[authoritiesEntry]...))
		if err := c.Update(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		pause(testOptions().Propagation - time.Second)
		mustServe(t, manager, first)
		pause(time.Second)
		mustBeReady(t, c, manager)
		mustServe(t, manager, second)

		broken := c.secret()
		broken.Data[corev1.TLSPrivateKeyKey] = first.Data[corev1.TLSPrivateKeyKey]
		if err := c.Update(t.Context(), broken); err != nil {
			t.Fatal(err)
		}
		pause(time.Minute)
		mustBeReady(t, c, manager)
		mustServe(t, manager, second)

		pause(31 * day)
		mustNotBeReady(t, manager, "expired")
		mustNotBeReady(t, manager, "read tls.crt and tls.key: tls: private key does not match public key")
		requests := c.requests()
		maps.DeleteFunc(requests, func(verb string, _ int) bool { return verb == "get" || verb == "watch" })
		if len(requests) > 0 {
			t.Errorf("an external certificate led to %v", requests)
		}
	})
}

func TestAnExternalCertificateThatCannotBeReadIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := issued(t, testStart())
		broken.Data[corev1.TLSPrivateKeyKey] = []byte("nonsense")
		c := newCluster(t, testConfiguration(), broken)
		manager := c.start(externalOptions())
		mustNotBeReady(t, manager, "secret keyturn-system/keyturn-webhook-cert: read tls.crt and tls.key: tls: failed to find any PEM data")
	})
}

func TestACertificateForOtherNamesIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := issued(t, clock.RealClock{}.Now())
		c := newCluster(t, testConfiguration(), secret)
		c.setBundle(secret.Data[authoritiesEntry])
		options := externalOptions()
		options.FurtherNames = []string{"keyturn.keyturn-system.svc"}
		mustBeReady(t, c, c.start(options))
		options.Names = append(options.Names, "webhook.example.org")
		manager := c.start(options)
		mustNotBeReady(t, manager, "not webhook.example.org")
		mustBeReady(t, c, c.start(externalOptions()))
	})
}
