package app

import (
	"fmt"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// mostVerbose is the most detail that there is: at 8 the Kubernetes client begins to log the bodies of requests and answers, and
// with them private keys and tokens.
const mostVerbose = 7

// NewLogger makes the logger that flags ask for, or says why there is none like that.
func NewLogger(options *zap.Options) (logr.Logger, error) {
	if options.Level != nil && options.Level.Enabled(-mostVerbose-1) {
		return logr.Logger{}, fmt.Errorf("--zap-log-level: must be %d at most, because whole Secrets are logged beyond", mostVerbose)
	}
	return zap.New(zap.UseFlagOptions(options)), nil
}

// SetLogger makes all of the process log alike: also the Kubernetes client, which elects the leader, and Go's HTTP servers, which
// tell of handshakes that failed.
func SetLogger(logger logr.Logger) {
	ctrl.SetLogger(logger)
	klog.SetLogger(logger.WithName("client-go"))
	slog.SetDefault(slog.New(logr.ToSlogHandler(logger.WithName("go"))))
}
