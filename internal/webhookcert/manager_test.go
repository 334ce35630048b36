package webhookcert

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Every replica has to serve, so none may wait to be elected.
var _ manager.LeaderElectionRunnable = (*Manager)(nil)

func TestEveryReplicaRuns(t *testing.T) {
	if (&Manager{}).NeedLeaderElection() {
		t.Error("only the leader would have a certificate")
	}
}

func TestAnEmptyClusterGetsACertificateThatEveryWebhookTrusts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(testOptions())

		mustBeReady(t, c, manager)
		secret := c.secret()
		if secret.Type != corev1.SecretTypeTLS || secret.Labels[managedByLabel] != managedByUs {
			t.Errorf("secret of type %q with labels %v", secret.Type, secret.Labels)
		}
		for _, webhook := range c.configuration().Webhooks {
			if diff := cmp.Diff(secret.Data[authoritiesEntry], webhook.ClientConfig.CABundle); diff != "" {
				t.Errorf("caBundle of %s differs from the Secret's: %s", webhook.Name, diff)
			}
		}
	})
}

func TestReplicasThatStartTogetherServeOneCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		first, err := New(c.counted(), nil, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		c.interfere("create", func() error {
			c.interfere("create", nil)
			material := build(t, generatedAt(Plan{RenewCA: true, IssueServing: true}, clock.RealClock{}.Now()))
			return first.writeSecret(t.Context(), nil, material)
		})
		a, b := c.start(testOptions()), c.start(testOptions())
		pause(time.Second)

		mustBeReady(t, c, a, b)
		mustServe(t, a, c.secret())
		mustServe(t, b, c.secret())
	})
}

func mustServe(t *testing.T, manager *Manager, secret *corev1.Secret) {
	t.Helper()
	served, err := manager.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	held, err := parseServing(secret.Data)
	if err != nil {
		t.Fatal(err)
	}
	if !served.Leaf.Equal(held.Leaf) {
		t.Errorf("served certificate %s is not the Secret's %s", served.Leaf.SerialNumber, held.Leaf.SerialNumber)
	}
}

func TestCertificatesAreRenewedForMonthsWithoutAFailedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		a, b := c.start(testOptions()), c.start(testOptions())
		served := map[string]bool{}
		for range 130 {
			pause(day)
			mustBeReady(t, c, a, b)
			certificate, err := a.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			served[certificate.Leaf.SerialNumber.String()] = true
		}
		// One at the start and one every twenty days; those of the sixtieth day and the hundred and twentieth are of a new CA.
		if got := len(served); got != 7 {
			t.Errorf("%d certificates were served, want 7", got)
		}
		if got := len(parseBundle(c.secret().Data[authoritiesEntry])); got != 2 {
			t.Errorf("the bundle holds %d authorities, want the present one and its predecessor", got)
		}
	})
}

// suspended is a clock whose timers did not run for a while.
type suspended struct {
	clock.RealClock
	missed atomic.Int64
}

func (s *suspended) Now() time.Time { return s.RealClock.Now().Add(time.Duration(s.missed.Load())) }

func TestAMachineThatWasSuspendedRenewsSoonAfterItWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		clk := &suspended{}
		manager := c.startWith(clk, testOptions())
		pause(time.Minute)
		first := c.secret()
		clk.missed.Store(int64(25 * day))
		pause(longestTimer)
		if cmp.Equal(first.Data[corev1.TLSCertKey], c.secret().Data[corev1.TLSCertKey]) {
			t.Error("a certificate that fell due five days ago was not renewed")
		}
		mustServe(t, manager, c.secret())
	})
}

func TestASettledClusterCostsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		c.start(testOptions())
		pause(time.Minute)
		before := c.requests()
		pause(15 * day)
		if diff := cmp.Diff(before, c.requests()); diff != "" {
			t.Errorf("requests in fifteen quiet days (-before +after):\n%s", diff)
		}
	})
}

func TestAWebhookConfigurationThatComesLaterIsFoundAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		manager := c.start(testOptions())
		pause(time.Hour)
		if logged := strings.Join(c.lines, "\n"); !strings.Contains(logged, `there is no ValidatingWebhookConfiguration \"keyturn\" with webhooks: install it`) {
			t.Errorf("the log does not say what is missing:\n%s", logged)
		}

		if err := c.Create(t.Context(), testConfiguration()); err != nil {
			t.Fatal(err)
		}
		pause(firstRetry)
		mustBeReady(t, c, manager)
	})
}

func TestWithoutAWebhookConfigurationNobodyCallsAndAllElseIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(testOptions())
		pause(time.Hour)
		if err := c.Delete(t.Context(), testConfiguration()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			pause(day)
			if err := manager.Ready(nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Create(t.Context(), testConfiguration()); err != nil {
			t.Fatal(err)
		}
		pause(time.Minute)
		mustBeReady(t, c, manager)
	})
}

func TestAnAPIServerThatIsAwayAtFirstIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		c.interfere("get", func() error { return errors.New("connection refused") })
		manager := c.start(testOptions())
		pause(time.Hour)
		mustNotBeReady(t, manager, "not loaded yet; last attempt to mend it: read webhook configuration: connection refused")
		if _, err := manager.GetCertificate(nil); err == nil {
			t.Error("a certificate is served, and there is none")
		}
		if got := c.requests()["get"]; got > 70 {
			t.Errorf("%d attempts in an hour", got)
		}

		c.interfere("get", nil)
		pause(2 * time.Minute)
		mustBeReady(t, c, manager)
	})
}

func TestAForeignSecretIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: testOptions().Namespace, Name: testOptions().SecretName},
			Data:       map[string][]byte{"password": []byte("x")},
		}
		c := newCluster(t, testConfiguration(), foreign)
		manager := c.start(testOptions())
		pause(time.Hour)

		mustNotBeReady(t, manager, "secret keyturn-system/keyturn-webhook-cert lacks the label app.kubernetes.io/managed-by=keyturn")
		if diff := cmp.Diff(foreign.Data, c.secret().Data); diff != "" {
			t.Errorf("foreign Secret was changed:\n%s", diff)
		}
	})
}

func TestReplicasThatWantOtherNamesAgreeOnOneCertificateForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		older, newer := testOptions(), testOptions()
		newer.Names = []string{"127.0.0.1", "webhook.example.org"}
		a, b := c.start(older), c.start(newer)
		pause(time.Hour)

		mustBeReady(t, c, a)
		if err := b.Ready(nil); err != nil {
			t.Errorf("the replica with the new name is not ready: %v", err)
		}
		if got := c.requests()["update"]; got != 1 {
			t.Errorf("%d updates, want the one for the new name", got)
		}
	})
}
