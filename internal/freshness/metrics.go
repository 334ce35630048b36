package freshness

import "github.com/prometheus/client_golang/prometheus"

var _ prometheus.Collector = (*View)(nil)

// docs/metrics.md lists all metrics.
func heard() *prometheus.Desc {
	return prometheus.NewDesc("keyturn_cluster_view_timestamp_seconds",
		"As of when this replica knows the cluster: the API server has answered for every cache since, in seconds since 1970.", nil, nil)
}

// Describe is for prometheus.Collector.
func (*View) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- heard() }

// Collect tells how far the caches have come; nothing while one has heard nothing.
func (v *View) Collect(metrics chan<- prometheus.Metric) {
	if at := v.Heard(); !at.IsZero() {
		metrics <- prometheus.MustNewConstMetric(heard(), prometheus.GaugeValue, float64(at.Unix()))
	}
}
