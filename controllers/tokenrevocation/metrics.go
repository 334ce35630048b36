package tokenrevocation

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// How many entries the deny lists have, is told by internal/denylist. docs/metrics.md lists all metrics.
var applied = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "keyturn", Subsystem: "tokenrevocation", Name: "applied_total",
	Help: "TokenRevocations that were published, by what they name.",
}, []string{"by"})

func init() {
	metrics.Registry.MustRegister(applied)
	for _, spec := range []v1alpha1.TokenRevocationSpec{{TokenID: "x"}, {Subject: "x"}, {ClientID: "x"}, {KeyID: "x"}, {}} {
		applied.WithLabelValues(by(&spec))
	}
}

// by is what a TokenRevocation names, in the words of the metrics.
func by(spec *v1alpha1.TokenRevocationSpec) string {
	switch {
	case spec.TokenID != "":
		return "TokenID"
	case spec.Subject != "":
		return "Subject"
	case spec.ClientID != "":
		return "ClientID"
	case spec.KeyID != "":
		return "KeyID"
	default:
		return "Everything"
	}
}
