package process

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// logTail is how many of its last lines speak for a program that has died.
const logTail = 15

// Watch returns a function that starts programs, and a context that ends as soon as any of them does: its cause tells of
// which, and what that program said last. Stop ends the context, not the programs.
func Watch(parent context.Context) (ctx context.Context, start func(Program) error, stop func()) {
	ctx, died := context.WithCancelCause(parent)
	start = func(program Program) error {
		daemon, err := Start(ctx, program)
		if err != nil {
			return err
		}
		go func() {
			<-daemon.Exited()
			died(obituary(daemon))
		}()
		return nil
	}
	return ctx, start, func() { died(nil) }
}

func obituary(daemon *Daemon) error {
	return WithLog(fmt.Errorf("%s has ended: %s", daemon.Name, daemon.Status()), daemon.LogFile)
}

// WithLog adds the end of a program's log to the error.
func WithLog(cause error, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w; its log cannot be read: %w", cause, err)
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	lines = lines[max(0, len(lines)-logTail):]
	return fmt.Errorf("%w; the end of its log %s:\n%s", cause, path, strings.Join(lines, "\n"))
}
