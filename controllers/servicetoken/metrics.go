package servicetoken

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
)

// causeNew is a Missing token of a ServiceToken that never had one.
const causeNew = "New"

// What this controller does. What ServiceTokens are, is told by internal/statemetrics. docs/metrics.md lists all metrics.
var (
	issued = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "servicetoken", Name: "issued_total",
		Help: "Tokens that were issued and written to their Secret, by why.",
	}, []string{"reason"})

	withdrawn = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "servicetoken", Name: "withdrawn_total",
		Help: "Tokens that were taken out of their Secret because spec.expiresAt had passed.",
	})

	issueDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "keyturn", Subsystem: "servicetoken", Name: "issue_duration_seconds",
		Help:    "Time from the decision to issue a token until its Secret was written.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})

	issueDelay = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "keyturn", Subsystem: "servicetoken", Name: "issue_delay_seconds",
		Help: "Time from when a token was wanted, by the creation of its ServiceToken (New) or its planned renewal (Renewal), " +
			"until its Secret was written.",
		Buckets: []float64{.1, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600},
	}, []string{"reason"})

	signatureDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "keyturn", Name: "signature_duration_seconds",
		Help:    "Time that signing a token took, by the algorithm of its key.",
		Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1},
	}, []string{"algorithm"})
)

func init() {
	metrics.Registry.MustRegister(issued, withdrawn, issueDuration, issueDelay, signatureDuration)
	issued.WithLabelValues(causeNew)
	for _, cause := range token.Causes() {
		issued.WithLabelValues(string(cause))
	}
	for _, cause := range []string{causeNew, string(token.Renewal)} {
		issueDelay.WithLabelValues(cause)
	}
}

// wanted is why a token is issued, in the words of the metrics, and since when it was wanted; zero if nobody knows.
func (w *world) wanted(cause token.Cause) (string, time.Time) {
	switch {
	case cause == token.Missing && w.isFirst():
		return causeNew, w.object.CreationTimestamp.Time
	case cause == token.Renewal:
		return string(cause), w.request.RenewalTime(w.says.IssuedAt, w.says.Expiry)
	default:
		return string(cause), time.Time{}
	}
}

// isFirst says whether there never was a token. One that was withdrawn leaves an empty Secret, or the reason for it in the status.
func (w *world) isFirst() bool {
	ready := meta.FindStatusCondition(w.object.Status.Conditions, v1alpha1.ConditionReady)
	return w.secret == nil && w.object.Status.TokenID == "" && (ready == nil || ready.Reason != v1alpha1.ReasonExpired)
}

// countIssue counts a token that has just been written.
func (r *Reconciler) countIssue(reason string, wanted, decided time.Time) {
	now := r.Clock.Now()
	issued.WithLabelValues(reason).Inc()
	issueDuration.Observe(now.Sub(decided).Seconds())
	if !wanted.IsZero() {
		// Creation is told in whole seconds, by another clock.
		issueDelay.WithLabelValues(reason).Observe(max(now.Sub(wanted), 0).Seconds())
	}
}
