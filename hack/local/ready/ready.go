// Package ready waits until programs answer that others rely on.
package ready

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/keyturn/keyturn/hack/local/process"
)

const pollInterval = 300 * time.Millisecond

// Question is what a program must answer before anybody can rely on it.
type Question struct {
	// What names the program in errors, as in "the API server".
	What string
	// LogFile is where the program tells what keeps it.
	LogFile string
	// Ask returns nil once the program is ready.
	Ask func(context.Context) error
}

// Wait asks again and again. When the time has run out it returns the last answer and the end of the program's log.
func (q Question) Wait(ctx context.Context, timeout time.Duration) error {
	var answer error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
		latest := q.Ask(ctx)
		if latest == nil || ctx.Err() == nil { // An answer cut short by the timeout says less than the one before.
			answer = latest
		}
		return latest == nil, nil
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return process.WithLog(fmt.Errorf("%s was not ready within %s: %w", q.What, timeout, answer), q.LogFile)
	}
}
