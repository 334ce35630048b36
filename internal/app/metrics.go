package app

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// register adds collectors to the metrics of the process and returns how to take them out again. In a process that runs
// several operators at once, as tests do, the first one's are told.
func register(collectors ...prometheus.Collector) (unregister func(), err error) {
	var added []prometheus.Collector
	unregister = func() {
		for _, c := range added {
			metrics.Registry.Unregister(c)
		}
	}
	for _, c := range collectors {
		err := metrics.Registry.Register(c)
		if errors.As(err, &prometheus.AlreadyRegisteredError{}) {
			continue
		}
		if err != nil {
			unregister()
			return nil, fmt.Errorf("register metrics: %w", err)
		}
		added = append(added, c)
	}
	return unregister, nil
}

// buildInfo is the metric that tells what runs here, as programs commonly do.
func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "keyturn", Name: "build_info",
		Help:        "Always 1: the version of Keyturn that runs, and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
