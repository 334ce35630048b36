package webhookcert

import (
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// told is when what a Manager serves expires, by kind.
func told(t *testing.T, manager *Manager) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(manager)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			found[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return found
}

func TestTheExpiryOfWhatIsServedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(testOptions())
		mustBeReady(t, c, manager)

		want := func() map[string]float64 {
			held := ParseMaterial(c.secret().Data)
			return map[string]float64{"Serving": float64(held.serving.Leaf.NotAfter.Unix()), "CA": float64(held.authorities[0].NotAfter.Unix())}
		}
		first := want()
		if diff := cmp.Diff(first, told(t, manager)); diff != "" {
			t.Errorf("expiries (-want +got):\n%s", diff)
		}
		pause(testOptions().ServingLifetime)
		if diff := cmp.Diff(want(), told(t, manager)); diff != "" || cmp.Equal(first, want()) {
			t.Errorf("expiries after a renewal (-want +got):\n%s", diff)
		}
		if faults, err := testutil.CollectAndLint(manager); err != nil || len(faults) > 0 {
			t.Errorf("faults are %v, error %v", faults, err)
		}
	})
}

func TestNoExpiryIsToldOfWhatIsNotThere(t *testing.T) {
	if got := told(t, &Manager{}); len(got) > 0 {
		t.Errorf("expiries are %v before anything is loaded", got)
	}
	material := build(t, generatedAt(Plan{RenewCA: true, IssueServing: true}, testStart()))
	manager := &Manager{}
	manager.show(material.serving, []*x509.Certificate{}, testStart().Add(time.Second))
	if diff := cmp.Diff(map[string]float64{"Serving": float64(material.serving.Leaf.NotAfter.Unix())}, told(t, manager)); diff != "" {
		t.Errorf("expiries without an authority (-want +got):\n%s", diff)
	}
}
