package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// loadTimeout bounds one load, of all its requests together.
const loadTimeout = 5 * time.Second

// keeper keeps the key set of one source. It has no goroutine of its own: a token that is verified starts what is due. At
// most one load runs at a time, and between two starts there is timing.atLeast, whatever tokens ask for.
type keeper struct {
	load   loader
	timing timing
	clock  func() time.Time

	mu         sync.Mutex
	keys       keySet // nil until the first load has succeeded
	version    version
	validators validators
	obtained   time.Time     // when the load began that gave the keys, or that said they are the same
	lifetime   time.Duration // from obtained on
	attempted  time.Time     // when the last load began
	failure    error         // of the last load that has ended; nil while there was none, or it succeeded
	failed     time.Time     // when the load began that failed last
	flight     chan struct{} // closed when the load ends that runs; nil while none does
}

// current returns the set to judge by. It waits for a load only if there is no other way to know the set.
func (k *keeper) current(ctx context.Context) (snapshot, error) {
	k.mu.Lock()
	now := k.clock()
	wait := k.refresh(ctx, now)
	if k.serves(now) {
		defer k.mu.Unlock()
		return k.snapshot(), nil
	}
	k.mu.Unlock()
	if err := await(ctx, wait); err != nil {
		return snapshot{}, &unavailableError{cause: err}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now = k.clock(); !k.usable(now) {
		return snapshot{}, k.unavailable(now)
	}
	return k.snapshot(), nil
}

// newer returns a set that may have what the one of that version lacks.
func (k *keeper) newer(ctx context.Context, seen version) (snapshot, error) {
	k.mu.Lock()
	if k.version == seen {
		wait := k.start(ctx, k.clock())
		k.mu.Unlock()
		if err := await(ctx, wait); err != nil {
			return snapshot{}, &unavailableError{cause: err}
		}
		k.mu.Lock()
	}
	defer k.mu.Unlock()
	if now := k.clock(); !k.usable(now) {
		return snapshot{}, k.unavailable(now)
	}
	return k.snapshot(), nil
}

// refresh starts a load if the set's lifetime is nearly over, so that nobody has to wait for the next one.
func (k *keeper) refresh(ctx context.Context, now time.Time) <-chan struct{} {
	if k.keys != nil && between(k.obtained, now) < k.lifetime*4/5 {
		return nil
	}
	return k.start(ctx, now)
}

// serves tells whether the set is used without waiting: within its lifetime, and after it while
// loads are known to fail: by one that began not long ago.
func (k *keeper) serves(now time.Time) bool {
	if k.keys != nil && between(k.obtained, now) < k.lifetime {
		return true
	}
	return k.usable(now) && between(k.failed, now) < 2*k.timing.atLeast
}

// usable tells whether the set can be used at all.
func (k *keeper) usable(now time.Time) bool {
	return k.keys != nil && between(k.obtained, now) < k.lifetime+k.timing.maxStale
}

// between is how long ago an instant was. A clock that was set back leaves no set good for longer: it is as old as can be.
func between(then, now time.Time) time.Duration {
	if now.Before(then) {
		return 2 * longest
	}
	return now.Sub(then)
}

func (k *keeper) snapshot() snapshot {
	return snapshot{keys: k.keys, version: k.version, doubt: k.failure}
}

func (k *keeper) unavailable(now time.Time) error {
	cause := k.failure
	if cause == nil {
		cause = errors.New("the keys are too old")
	}
	return &unavailableError{cause: cause, after: k.timing.atLeast - between(k.attempted, now)}
}

// start starts a load, unless one runs or the last one began too short a time ago. It returns what closes when a load that
// runs has ended, or nil.
func (k *keeper) start(ctx context.Context, now time.Time) <-chan struct{} {
	if k.flight != nil {
		return k.flight
	}
	if !k.attempted.IsZero() && between(k.attempted, now) < k.timing.atLeast {
		return nil
	}
	flight := make(chan struct{})
	k.flight, k.attempted = flight, now
	go k.run(context.WithoutCancel(ctx), k.validators, flight) // Who has started it may go away; others wait for it too.
	return flight
}

func (k *keeper) run(ctx context.Context, known validators, flight chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	found, err := k.load(ctx, known)
	var keys keySet
	if err == nil && found.data != nil {
		keys, err = parseKeySet(found.data)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(flight)
	k.flight, k.failure = nil, err
	if err != nil {
		k.failed = k.attempted
		return
	}
	k.take(found, keys)
}

// take replaces the set. Of the one before nothing is left, least of all a key that was revoked.
func (k *keeper) take(found loaded, keys keySet) {
	if found.data != nil {
		k.keys, k.version = keys, sha256.Sum256(found.data)
	}
	k.validators, k.obtained, k.lifetime = found.validators, k.attempted, k.timing.atMost
	if found.lifetime != unspecified {
		k.lifetime = min(max(found.lifetime, k.timing.atLeast), k.timing.atMost)
	}
}

func await(ctx context.Context, wait <-chan struct{}) error {
	if wait == nil {
		return nil
	}
	select {
	case <-wait:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
