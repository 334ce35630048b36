// Package alerts tests what the chart brings for Prometheus and Grafana: that promtool accepts the rules and the queries, that each
// alert fires when it should and is silent when all is well, and that metrics, alerts, dashboard, runbooks and docs/metrics.md agree.
// That docs/metrics.md agrees with what the operator tells, is tested in test/operator.
package alerts
