package statemetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// docs/metrics.md lists all metrics.
var (
	keysByState = newMetric("signingkey_keys",
		"Keys of a SigningKey, by state.", "namespace", "name", "state")
	keyCondition = newMetric("signingkey_condition",
		"Always 1: a condition of a SigningKey with its status and reason. Ready is Unknown until the operator has seen the object.",
		"namespace", "name", "type", "status", "reason")
	nextTransition = newMetric("signingkey_next_transition_timestamp_seconds",
		"When time alone next changes a SigningKey's ring, in seconds since 1970; absent if only something else can.", "namespace", "name")
	nextRotation = newMetric("signingkey_next_rotation_timestamp_seconds",
		"When another key of a SigningKey begins to sign, by the plan and at the earliest, in seconds since 1970.", "namespace", "name")

	tokensByCondition = newMetric("servicetokens",
		"ServiceTokens of a namespace that name a SigningKey, by status and reason of Ready. "+
			"The SigningKey is empty for all that name one that is not there.",
		"namespace", "signing_key_namespace", "signing_key", "status", "reason")
	soonestExpiry = newMetric("servicetoken_soonest_expiry_timestamp_seconds",
		"When the first of those ServiceTokens' tokens expires, by the status of Ready, in seconds since 1970.",
		"namespace", "signing_key_namespace", "signing_key", "status")
	soonestRenewal = newMetric("servicetoken_soonest_renewal_timestamp_seconds",
		"When the first of those ServiceTokens' tokens is to be renewed, in seconds since 1970.",
		"namespace", "signing_key_namespace", "signing_key")
)

func all() []metric {
	return []metric{
		keysByState, keyCondition, nextTransition, nextRotation,
		tokensByCondition, soonestExpiry, soonestRenewal,
	}
}

// metric is a gauge that this package tells.
type metric struct{ desc *prometheus.Desc }

func newMetric(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("keyturn_"+name, help, labels, nil)}
}

func (m metric) tell(metrics chan<- prometheus.Metric, value float64, labels ...string) {
	metrics <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, value, labels...)
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }
