package tokenclient

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// docs/metrics.md lists all metrics.
var generated = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "keyturn", Subsystem: "tokenclient", Name: "secrets_generated_total",
	Help: "Client secrets that were generated and written to their Secret, by why.",
}, []string{"reason"})

func init() {
	metrics.Registry.MustRegister(generated)
	for _, c := range causes() {
		generated.WithLabelValues(string(c))
	}
}
