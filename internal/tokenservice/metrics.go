package tokenservice

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyturn_token_endpoint_requests_total",
		Help: "Requests to token, introspection and revocation endpoints by grant type, which is empty for the latter, and HTTP status.",
	}, []string{"endpoint", "grant", "status"})
	duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "keyturn_token_endpoint_request_duration_seconds",
		Help:    "How long those requests take, with what they wait for.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
	}, []string{"endpoint"})
	refreshTokensReused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "keyturn_refresh_tokens_reused_total",
		Help: "Refresh tokens that were used a second time, which revokes all that came of the same grant.",
	})
	refreshTokensMissing = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "keyturn_refresh_tokens_missing_total",
		Help: "Grants that came without the refresh token that the client may have, because the token store was not available.",
	})
)

func init() {
	metrics.Registry.MustRegister(requests, duration, refreshTokensReused, refreshTokensMissing)
	// A rate needs a value before the first failure.
	for _, endpoint := range []Endpoint{Token, Introspection, Revocation} {
		duration.WithLabelValues(string(endpoint))
		for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
			requests.WithLabelValues(string(endpoint), "", strconv.Itoa(status))
		}
	}
}
