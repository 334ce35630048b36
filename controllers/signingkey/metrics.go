package signingkey

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// What this controller does. What SigningKeys are, is told by internal/statemetrics. docs/metrics.md lists all metrics.
var (
	transitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "signingkey", Name: "transitions_total",
		Help: "Changes of keys in the rings of SigningKeys, by what happened; RingLost counts rings and not keys.",
	}, []string{"transition"})

	blockedCopies = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "keyturn", Subsystem: "signingkey", Name: "jwks_copies_blocked",
		Help: "Copies of a SigningKey's JWKS that cannot be written, as the replica that reconciles has last tried.",
	}, []string{"namespace", "name"})
)

func init() {
	metrics.Registry.MustRegister(transitions, blockedCopies)
	for _, change := range rotation.Changes() {
		transitions.WithLabelValues(string(change))
	}
	transitions.WithLabelValues(v1alpha1.ReasonRingLost)
}
