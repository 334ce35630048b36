package tokenstore

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// docs/metrics.md lists all metrics.
var (
	operationDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "keyturn", Subsystem: "token_store", Name: "operation_duration_seconds",
		Help:    "Time that an operation of the token store took, by operation and outcome: a state of the token, or whether it was done.",
		Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	}, []string{"operation", "outcome"})

	rowsSwept = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "token_store", Name: "rows_swept_total",
		Help: "Expired rows that were removed from the token store.",
	}, []string{"kind"})
)

func init() {
	metrics.Registry.MustRegister(operationDuration, rowsSwept)
	// A rate needs a value before the first failure.
	for _, operation := range []string{"Create", "Lookup", "Use", "Revoke", "RevokeAll", "Record", "Sweep", "Check"} {
		operationDuration.WithLabelValues(operation, "Unavailable")
	}
	rowsSwept.WithLabelValues("RefreshFamily")
	rowsSwept.WithLabelValues("Assertion")
}

// measure begins to time an operation, and returns what ends it.
func measure(operation string, outcome func() string) func() {
	timer := prometheus.NewTimer(prometheus.ObserverFunc(func(seconds float64) {
		operationDuration.WithLabelValues(operation, outcome()).Observe(seconds)
	}))
	return func() { timer.ObserveDuration() }
}

func outcome(state refresh.State, err error) string {
	switch {
	case err == nil:
		return string(state)
	case errors.Is(err, ErrUnavailable):
		return "Unavailable"
	default:
		return "Error"
	}
}

func outcomeOfAssertion(isNew bool, err error) string {
	if isNew {
		return outcome("New", err)
	}
	return outcome("Replayed", err)
}
