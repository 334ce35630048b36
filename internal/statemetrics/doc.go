// Package statemetrics tells Prometheus what the SigningKeys and ServiceTokens of a cluster are like, read from the caches when
// it asks. What is deleted is gone from the next answer, and no reconcile has to keep a metric up to date.
//
// SigningKeys are told one by one. ServiceTokens, of which there can be ten thousand, are told by namespace and SigningKey.
// Every replica tells the same: docs/decisions/0020-every-replica-tells-the-state.md says why. docs/metrics.md lists all metrics.
package statemetrics
