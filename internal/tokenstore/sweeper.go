package tokenstore

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// sweepEvery is how often expired rows are removed. They do no harm: what has expired is refused whether it is there or not.
const sweepEvery = 5 * time.Minute

// Sweeper removes expired rows, time and again. It is a manager.Runnable for every replica: they do not hinder each other.
type Sweeper struct {
	Store  *Store
	Clock  clock.WithTicker
	Logger logr.Logger
}

// Start sweeps until the context ends.
func (s *Sweeper) Start(ctx context.Context) error {
	ticker := s.Clock.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			if _, err := s.Store.Sweep(ctx, s.Clock.Now()); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
				s.Logger.Error(err, "Expired rows remain in the token store; the next attempt follows", "after", sweepEvery)
			}
		}
	}
}

// NeedLeaderElection is for the manager.
func (*Sweeper) NeedLeaderElection() bool { return false }
