package webhookcert

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
	// A timer does not run while its machine is suspended: a long wait looks at the clock now and then.
	longestTimer = 10 * time.Minute
)

func newBackoff() *wait.Backoff {
	return &wait.Backoff{Duration: firstRetry, Factor: 2, Jitter: 0.2, Steps: 64, Cap: lastRetry}
}

// record keeps a pass's error for Ready and logs it. That another replica was faster is no failure.
func (m *Manager) record(ctx context.Context, err error) {
	switch {
	case err == nil:
		m.failure.Store(nil)
		return
	case ctx.Err() != nil:
		return
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		log.FromContext(ctx).V(1).Info("webhook certificate was changed by another writer, reading it again")
	default:
		log.FromContext(ctx).Error(err, "webhook certificate not settled, trying again")
	}
	m.failure.Store(&err)
}

// rest pauses whatever happens, unless ctx ends.
func (m *Manager) rest(ctx context.Context, pause time.Duration) {
	timer := m.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}

// wait returns at next, which may be zero for never, or when woken, or when ctx ends.
func (m *Manager) wait(ctx context.Context, next time.Time, wake <-chan struct{}) {
	for {
		left := longestTimer
		if !next.IsZero() {
			left = min(left, next.Sub(m.clock.Now()))
		}
		if left <= 0 || m.sleep(ctx, left, wake) {
			return
		}
	}
}

// sleep answers whether it was cut short.
func (m *Manager) sleep(ctx context.Context, pause time.Duration, wake <-chan struct{}) bool {
	timer := m.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-wake:
		return true
	case <-timer.C():
		return false
	}
}
