package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	pollInterval = 50 * time.Millisecond
	killGrace    = 10 * time.Second
)

// Stop ends the process and returns when it is gone: with SIGTERM first and, when grace has passed, with SIGKILL.
// Another process that has the same ID by now is left alone.
func Stop(ctx context.Context, identity Identity, grace time.Duration) error {
	for _, attempt := range []struct {
		signal syscall.Signal
		grace  time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, killGrace}} {
		gone, err := signalAndWait(ctx, identity, attempt.signal, attempt.grace)
		if err != nil {
			return fmt.Errorf("stop process %d: %w", identity.PID, err)
		}
		if gone {
			return nil
		}
	}
	return fmt.Errorf("stop process %d: still there %s after SIGKILL", identity.PID, killGrace)
}

func signalAndWait(ctx context.Context, identity Identity, signal syscall.Signal, grace time.Duration) (gone bool, err error) {
	// The handle comes before the check: on Linux it is tied to the process, so the ID cannot change hands in between.
	handle, err := os.FindProcess(identity.PID)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, handle.Release()) }()
	alive, err := identity.Alive(ctx)
	if err != nil || !alive {
		return !alive, err
	}
	if err := handle.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false, err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, grace, true, func(ctx context.Context) (bool, error) {
		alive, err := identity.Alive(ctx)
		return !alive, err
	})
	if ctx.Err() == nil && wait.Interrupted(err) {
		return false, nil
	}
	return err == nil, err
}
