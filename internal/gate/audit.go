package gate

import (
	"context"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The lines that refusals of one policy may write: anybody can be refused as often as they like, and must not fill the log.
const (
	linesPerSecond = 10
	lineBurst      = 50
)

// record writes one line for a decision: at V(0) if the request is not let in, at V(1) if it is. The line has no token, and of
// the request no more than its method, as anything else can hold a secret.
func record(ctx context.Context, p *policy, incoming Incoming, answer Answer, now time.Time) {
	logger := loggerOf(ctx)
	if p == nil || answer.Status == http.StatusOK {
		logger = logger.V(1)
	} else if !p.lines.AllowN(now, 1) {
		return
	}
	if !logger.Enabled() {
		return
	}
	logger = logger.WithName("audit")
	about := []any{"result", answer.result(), "reason", string(answer.reason), "status", answer.Status}
	if p != nil {
		about = append(about, "tokenPolicy", p.name)
	}
	if answer.detail != nil {
		about = append(about, "detail", answer.detail.Error())
	}
	if len(incoming.Method) == 1 && isMethod(incoming.Method[0]) {
		about = append(about, "method", incoming.Method[0])
	}
	if t := answer.token; t != nil {
		about = append(about, "issuer", t.Issuer, "subject", t.Subject, "tokenID", t.ID, "keyID", t.KeyID)
	}
	logger.Info("gate decided", about...)
}

// loggerOf is log.FromContext without its allocations: most decisions are not logged.
func loggerOf(ctx context.Context) logr.Logger {
	if logger, err := logr.FromContext(ctx); err == nil {
		return logger
	}
	return log.Log
}
