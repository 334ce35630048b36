package webhookcert

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestClientsThatTrustTheConfigMapAreServedUnderFurtherNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		older := c.start(testOptions())
		pause(time.Hour)
		options := testOptions()
		options.FurtherNames = []string{"keyturn.keyturn-system.svc", "tokens.example.org"}
		newer := c.start(options)
		pause(time.Second)
		for _, manager := range []*Manager{older, newer} {
			mustBeReady(t, c, manager)
			mustTrust(t, c, manager, options.FurtherNames...)
		}
		for range 130 {
			pause(day)
			mustTrust(t, c, newer, options.FurtherNames...)
		}
	})
}

func TestANewCASignsNothingBeforeClientsHadTimeToLearnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(testOptions())
		pause(time.Minute)
		first := c.published().Data[authoritiesEntry]
		c.interfere("publish", func() error { return errors.New("connection refused") })
		c.damage(authorityKeyEntry)
		pause(time.Hour)
		if c.published().Data[authoritiesEntry] != first {
			t.Fatal("the ConfigMap was written although the API server is away")
		}
		served, err := manager.GetCertificate(nil)
		if err != nil || served.Leaf.CheckSignatureFrom(parseBundle([]byte(first))[0]) != nil {
			t.Errorf("a CA signs that no client can know (%v)", err)
		}
		c.interfere("publish", nil)
		pause(5 * time.Minute)
		if material := ParseMaterial(c.secret().Data); !signedByNewest(material) {
			t.Error("the new CA never signs")
		}
		mustTrust(t, c, manager)
	})
}

// As under the Role of an older version.
func TestAConfigMapThatCannotBeReadHoldsNoWebhookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		c.interfere("get published", func() error {
			return apierrors.NewForbidden(corev1.Resource("configmaps"), CAConfigMap, errors.New("no rule allows it"))
		})
		manager := c.start(testOptions())
		pause(time.Minute)
		mustBeReady(t, c, manager)
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: testOptions().Namespace, Name: CAConfigMap}, &corev1.ConfigMap{}); err == nil {
			t.Error("what could not be read was written")
		}
		if failure := manager.failure.Load(); failure == nil || !apierrors.IsForbidden(*failure) {
			t.Errorf("what is wrong is not told: %v", failure)
		}
		c.interfere("get published", nil)
		pause(5 * time.Minute)
		mustTrust(t, c, manager)
	})
}

func TestAForeignConfigMapIsNotTouchedAndHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: testOptions().Namespace, Name: CAConfigMap},
			Data:       map[string]string{"theirs": "x"},
		}
		c := newCluster(t, testConfiguration(), foreign)
		manager := c.start(testOptions())
		pause(time.Minute)
		c.damage(authorityKeyEntry)
		pause(5 * time.Minute)
		mustBeReady(t, c, manager)
		if material := ParseMaterial(c.secret().Data); !signedByNewest(material) {
			t.Error("the new CA waits for clients that cannot be told")
		}
		if diff := cmp.Diff(foreign.Data, c.published().Data); diff != "" {
			t.Errorf("foreign ConfigMap was changed:\n%s", diff)
		}
	})
}
