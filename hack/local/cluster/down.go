package cluster

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/keyturn/keyturn/hack/local/process"
)

// stopGrace is how long a program may take to end by itself.
const stopGrace = 15 * time.Second

// Down returns when no process of the cluster runs any more. Its data and credentials are removed; its logs stay in
// .run/log until the next start. It is no error when nothing runs.
func Down(ctx context.Context, options Options, out io.Writer) error {
	err := locked(ctx, options, out, func(l layout) error {
		stopped, err := stopAll(ctx, l)
		if err != nil {
			return err
		}
		if err := l.clear(); err != nil {
			return err
		}
		if len(stopped) == 0 {
			say(out, "Nothing was running.")
			return nil
		}
		say(out, "The cluster is down; its logs are in %s.", l.logs())
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the cluster down: %w", err)
	}
	return nil
}

// stopAll stops the recorded processes and returns the names of those that still ran.
func stopAll(ctx context.Context, l layout) (stopped []string, err error) {
	for _, name := range stopOrder() {
		identity, alive, err := lookUp(ctx, l, name)
		if err != nil {
			return stopped, err
		}
		if !alive {
			continue
		}
		if err := process.Stop(ctx, identity, stopGrace); err != nil {
			return stopped, fmt.Errorf("stop %s: %w", name, err)
		}
		stopped = append(stopped, name)
	}
	return stopped, nil
}
