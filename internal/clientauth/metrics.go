package clientauth

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// The results of attempts and reviews.
const (
	resultAccepted    = "Accepted"
	resultRefused     = "Refused"
	resultUnavailable = "Unavailable"
)

// docs/metrics.md lists all metrics.
var (
	attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Name: "client_authentications_total",
		Help: "Attempts of OAuth clients to prove themselves, by how and with what result.",
	}, []string{"method", "result"})

	reviewed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Name: "token_reviews_total",
		Help: "Tokens of ServiceAccounts that the API server was asked about, by its answer; those that are remembered are not asked about.",
	}, []string{"result"})
)

func init() {
	metrics.Registry.MustRegister(attempts, reviewed)
	for _, result := range []string{resultAccepted, resultRefused, resultUnavailable} {
		reviewed.WithLabelValues(result)
		for _, method := range []Method{ClientSecret, PrivateKeyJWT, ServiceAccount} {
			attempts.WithLabelValues(string(method), result)
		}
	}
}

func resultOf(err error) string {
	switch unknown := new(UnavailableError); {
	case err == nil:
		return resultAccepted
	case errors.As(err, &unknown):
		return resultUnavailable
	default:
		return resultRefused
	}
}
