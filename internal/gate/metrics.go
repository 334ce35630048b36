package gate

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/pkg/verify"
)

// docs/metrics.md lists all metrics.
var (
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "gate", Name: "decisions_total",
		Help: "Requests that the gate decided about, by the TokenPolicy, the result and why; a policy that does not exist has no name.",
	}, []string{"namespace", "name", "result", "reason"})

	decisionDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "keyturn", Subsystem: "gate", Name: "decision_duration_seconds",
		Help:    "Time that deciding about a request took, by result.",
		Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, 1, 5},
	}, []string{"result"})

	lookups = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "gate", Name: "cache_lookups_total",
		Help: "Tokens that were looked up among those that were verified before, by whether they were found there.",
	}, []string{"result"})

	// Found once, and not for each request.
	acceptedDuration = decisionDuration.WithLabelValues(resultAccepted)
	hits, misses     = lookups.WithLabelValues("Hit"), lookups.WithLabelValues("Miss")
)

func init() {
	metrics.Registry.MustRegister(decisions, decisionDuration, lookups)
	decisions.WithLabelValues("", "", resultRefused, string(PolicyUnknown))
	for _, result := range []string{resultRefused, resultUnavailable} {
		decisionDuration.WithLabelValues(result)
	}
}

// The results in metrics.
const (
	resultAccepted    = "Accepted"
	resultRefused     = "Refused"
	resultUnavailable = "Unavailable"
)

// Reason is why a decision is as it is, in metrics and in the log.
type Reason string

// The reasons of decisions.
const (
	Accepted            Reason = "Accepted"
	NoToken             Reason = "NoToken"
	InvalidRequest      Reason = "InvalidRequest"
	Malformed           Reason = "Malformed"
	TypeNotAccepted     Reason = "TypeNotAccepted"
	AlgorithmRefused    Reason = "AlgorithmNotAccepted"
	IssuerNotAccepted   Reason = "IssuerNotAccepted"
	UnknownKey          Reason = "UnknownKey"
	InvalidSignature    Reason = "InvalidSignature"
	Expired             Reason = "Expired"
	NotYetValid         Reason = "NotYetValid"
	OtherAudience       Reason = "OtherAudience"
	Revoked             Reason = "Revoked"
	InsufficientScope   Reason = "InsufficientScope"
	RequestUnclear      Reason = "RequestUnclear"
	RuleSaysNo          Reason = "RuleSaysNo"
	ClaimUnusable       Reason = "ClaimUnusable"
	PolicyUnknown       Reason = "PolicyUnknown"
	PolicyInvalid       Reason = "PolicyInvalid"
	KeysUnavailable     Reason = "KeysUnavailable"
	DenyListUnavailable Reason = "DenyListUnavailable"
	ViewTooOld          Reason = "ViewTooOld"
	Starting            Reason = "Starting"
	Failed              Reason = "Failed"
)

// reasonOf is the reason of an error of package verify.
func reasonOf(err error) Reason {
	for _, known := range []struct {
		err    error
		reason Reason
	}{
		{verify.ErrNoToken, NoToken},
		{verify.ErrRequest, InvalidRequest},
		{verify.ErrType, TypeNotAccepted},
		{verify.ErrAlgorithm, AlgorithmRefused},
		{verify.ErrIssuer, IssuerNotAccepted},
		{verify.ErrUnknownKey, UnknownKey},
		{verify.ErrSignature, InvalidSignature},
		{verify.ErrExpired, Expired},
		{verify.ErrNotYetValid, NotYetValid},
		{verify.ErrAudience, OtherAudience},
		{verify.ErrScope, InsufficientScope},
		{verify.ErrRevoked, Revoked},
		{verify.ErrKeysUnavailable, KeysUnavailable},
		{verify.ErrDenyListUnavailable, DenyListUnavailable},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return Malformed
}

func (a Answer) result() string {
	switch a.Status {
	case http.StatusOK:
		return resultAccepted
	case http.StatusServiceUnavailable:
		return resultUnavailable
	default:
		return resultRefused
	}
}

// count counts a decision. Nobody adds a series by asking for policies that do not exist.
func count(p *policy, answer Answer, took time.Duration) {
	var name types.NamespacedName
	if p != nil {
		name = p.name
	}
	decisions.WithLabelValues(name.Namespace, name.Name, answer.result(), string(answer.reason)).Inc()
	if answer.Status == http.StatusOK {
		acceptedDuration.Observe(took.Seconds())
		return
	}
	decisionDuration.WithLabelValues(answer.result()).Observe(took.Seconds())
}

func countRecall(found bool) {
	if found {
		hits.Inc()
		return
	}
	misses.Inc()
}

// forgetMetrics ends what is told of a policy that is no more.
func forgetMetrics(name types.NamespacedName) {
	decisions.DeletePartialMatch(prometheus.Labels{"namespace": name.Namespace, "name": name.Name})
}
