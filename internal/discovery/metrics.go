package discovery

import (
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// docs/metrics.md lists all metrics.
var (
	requestDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "keyturn", Subsystem: "https", Name: "request_duration_seconds",
		Help:    "Time that answering a request for a JWKS, a configuration document or a deny list took, by document and status code.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
	}, []string{"document", "code"})

	connections = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "keyturn", Subsystem: "https", Name: "connections",
		Help: "Connections for JWKS and discovery that are open; whoever comes waits while there are as many as there may be.",
	})
)

func init() {
	metrics.Registry.MustRegister(requestDuration, connections)
	requestDuration.WithLabelValues("JWKS", "200")
	requestDuration.WithLabelValues("Configuration", "200")
	requestDuration.WithLabelValues("Revocations", "200")
}

// documents name what can be asked for in metrics; None is any path that names no document.
func documents() []string { return []string{"JWKS", "Configuration", "Revocations", "None"} }

// Measured is the Handler with its requests counted and timed. Whoever asks for something else than a document adds no series.
func (h *Handler) Measured() http.Handler {
	measured := map[string]http.Handler{}
	for _, document := range documents() {
		measured[document] = promhttp.InstrumentHandlerDuration(requestDuration.MustCurryWith(prometheus.Labels{"document": document}), h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		measured[h.documentOf(r)].ServeHTTP(w, r)
	})
}

func (h *Handler) documentOf(r *http.Request) string {
	_, what, named := parsePath(r.URL.Path, h.prefix)
	switch {
	case !named:
		return "None"
	case what == jwks:
		return "JWKS"
	case what == revocations:
		return "Revocations"
	default:
		return "Configuration"
	}
}

// countConnections is for http.Server.
func countConnections(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		connections.Inc()
	case http.StateClosed, http.StateHijacked:
		connections.Dec()
	case http.StateActive, http.StateIdle:
	}
}

var _ prometheus.Collector = (*Server)(nil)

func expiration() *prometheus.Desc {
	return prometheus.NewDesc("keyturn_https_certificate_expiration_timestamp_seconds",
		"When the certificate expires by which this replica serves JWKS and discovery, in seconds since 1970.", nil, nil)
}

// Describe is for prometheus.Collector.
func (*Server) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- expiration() }

// Collect tells when the certificate expires; nothing while there is none.
func (s *Server) Collect(told chan<- prometheus.Metric) {
	certificate, err := s.Certificate(nil)
	if err != nil || certificate == nil || certificate.Leaf == nil {
		return
	}
	told <- prometheus.MustNewConstMetric(expiration(), prometheus.GaugeValue, float64(certificate.Leaf.NotAfter.Unix()))
}
