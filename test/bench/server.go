package main

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
)

// ServerMetrics are what the API server tells Prometheus.
func (p *Plane) ServerMetrics(ctx context.Context) (series, error) {
	direct, err := kubernetes.NewForConfig(p.Admin)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	text, err := direct.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read metrics of API server: %w", err)
	}
	return parseSeries(string(text)), nil
}

// writes are the requests of a resource that the API server has answered and that change something, as in
// writes(grown, "secrets", ""). Those for its own use are among them.
func writes(s series, resource, subresource string) float64 {
	total := 0.0
	for _, verb := range []string{"POST", "PUT", "PATCH", "APPLY", "DELETE"} {
		total += s.sum("apiserver_request_total", `resource="`+resource+`"`, `subresource="`+subresource+`"`, `verb="`+verb+`"`)
	}
	return total
}

// reads are the requests of objects that Keyturn looks at, without watches.
func reads(s series) float64 {
	total := 0.0
	for _, resource := range []string{"secrets", "configmaps", "namespaces", "servicetokens", "signingkeys", "tokenrevocations"} {
		for _, verb := range []string{"GET", "LIST"} {
			total += s.sum("apiserver_request_total", `resource="`+resource+`"`, `verb="`+verb+`"`)
		}
	}
	return total
}

// allWrites are the requests that change any object that Keyturn writes, without Leases.
func allWrites(s series) float64 {
	return writes(s, "secrets", "") + writes(s, "configmaps", "") + writes(s, "events", "") +
		writes(s, "servicetokens", "status") + writes(s, "signingkeys", "status") +
		writes(s, "tokenrevocations", "status") + writes(s, "tokenclients", "status") + writes(s, "tokenpolicies", "status")
}
