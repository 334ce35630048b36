package app

import (
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// SetLogger makes all of the process log alike: also the Kubernetes client, which elects the leader, and Go's HTTP servers, which
// tell of handshakes that failed.
func SetLogger(logger logr.Logger) {
	ctrl.SetLogger(logger)
	klog.SetLogger(logger.WithName("client-go"))
	slog.SetDefault(slog.New(logr.ToSlogHandler(logger.WithName("go"))))
}
