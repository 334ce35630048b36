package webhookcert

import (
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"
)

var _ prometheus.Collector = (*Manager)(nil)

// expiration describes the metric that a Manager collects; docs/metrics.md lists all.
func expiration() *prometheus.Desc {
	return prometheus.NewDesc("keyturn_webhook_certificate_expiration_timestamp_seconds",
		"When the certificate that this replica serves expires (Serving), and the authority by which API servers verify it (CA), in seconds since 1970.",
		[]string{"certificate"}, nil)
}

// Describe is for prometheus.Collector.
func (*Manager) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- expiration() }

// Collect tells when what is in service expires; nothing before the first certificate is loaded.
func (m *Manager) Collect(metrics chan<- prometheus.Metric) {
	present := m.view.Load()
	if present == nil {
		return
	}
	for kind, certificate := range map[string]*x509.Certificate{"Serving": present.certificate.Leaf, "CA": present.authority} {
		if certificate != nil {
			metrics <- prometheus.MustNewConstMetric(expiration(), prometheus.GaugeValue, float64(certificate.NotAfter.Unix()), kind)
		}
	}
}
