package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/keyturn/keyturn/internal/tokenservice"
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
	slog.SetDefault(slog.New(unaudited{logr.ToSlogHandler(logger.WithName("go"))}))
}

// unaudited leaves out what the audit of the token endpoints tells already, and tells without what a request held.
type unaudited struct{ slog.Handler }

func (u unaudited) Handle(ctx context.Context, record slog.Record) error {
	if tokenservice.IsAudited(ctx) {
		return nil
	}
	return u.Handler.Handle(ctx, record)
}

func (u unaudited) WithAttrs(attributes []slog.Attr) slog.Handler {
	return unaudited{u.Handler.WithAttrs(attributes)}
}

func (u unaudited) WithGroup(name string) slog.Handler { return unaudited{u.Handler.WithGroup(name)} }
