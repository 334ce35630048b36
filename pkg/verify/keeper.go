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

// keeper keeps what is in the document of one source: a key set or a deny list. It has no goroutine of its own: a token that is
// verified starts what is due. At most one load runs at a time, and between two starts there is timing.atLeast, whatever tokens
// ask for.
type keeper[T any] struct {
	load   loader
	parse  func([]byte) (T, error)
	timing timing
	clock  func() time.Time
	absent error // what a document that is not at hand is called

	mu         sync.Mutex
	value      *T // nil until the first load has succeeded
	version    version
	validators validators
	obtained   time.Time     // when the load began that gave the value, or that said it is the same
	lifetime   time.Duration // from obtained on
	attempted  time.Time     // when the last load began
	failure    error         // of the last load that has ended; nil while there was none, or it succeeded
	failed     time.Time     // when the load began that failed last
	flight     chan struct{} // closed when the load ends that runs; nil while none does
}

// current returns what to judge by. It waits for a load only if there is no other way to know it.
func (k *keeper[T]) current(ctx context.Context) (snapshot[T], error) {
	k.mu.Lock()
	now := k.clock()
	wait := k.refresh(ctx, now)
	if k.serves(now) {
		defer k.mu.Unlock()
		return k.snapshot(), nil
	}
	k.mu.Unlock()
	if err := await(ctx, wait); err != nil {
		return snapshot[T]{}, &unavailableError{what: k.absent, cause: err}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now = k.clock(); !k.usable(now) {
		return snapshot[T]{}, k.unavailable(now)
	}
	return k.snapshot(), nil
}

// newer returns what may have in it what the value of that version lacks.
func (k *keeper[T]) newer(ctx context.Context, seen version) (snapshot[T], error) {
	k.mu.Lock()
	if k.version == seen {
		wait := k.start(ctx, k.clock())
		k.mu.Unlock()
		if err := await(ctx, wait); err != nil {
			return snapshot[T]{}, &unavailableError{what: k.absent, cause: err}
		}
		k.mu.Lock()
	}
	defer k.mu.Unlock()
	if now := k.clock(); !k.usable(now) {
		return snapshot[T]{}, k.unavailable(now)
	}
	return k.snapshot(), nil
}

// refresh starts a load if the value's lifetime is nearly over, so that nobody has to wait for the next one.
func (k *keeper[T]) refresh(ctx context.Context, now time.Time) <-chan struct{} {
	if k.value != nil && between(k.obtained, now) < k.lifetime*4/5 {
		return nil
	}
	return k.start(ctx, now)
}

// serves tells whether the value is used without waiting: within its lifetime, and after it while
// loads are known to fail: by one that began not long ago.
func (k *keeper[T]) serves(now time.Time) bool {
	if k.value != nil && between(k.obtained, now) < k.lifetime {
		return true
	}
	return k.usable(now) && between(k.failed, now) < 2*k.timing.atLeast
}

// usable tells whether the value can be used at all.
func (k *keeper[T]) usable(now time.Time) bool {
	return k.value != nil && between(k.obtained, now) < k.lifetime+k.timing.maxStale
}

// between is how long ago an instant was. A clock that was set back leaves nothing good for longer: it is as old as can be.
func between(then, now time.Time) time.Duration {
	if now.Before(then) {
		return 2 * longest
	}
	return now.Sub(then)
}

func (k *keeper[T]) snapshot() snapshot[T] {
	return snapshot[T]{value: *k.value, version: k.version, doubt: k.failure}
}

func (k *keeper[T]) unavailable(now time.Time) error {
	cause := k.failure
	if cause == nil {
		cause = errors.New("what was read last is too old")
	}
	return &unavailableError{what: k.absent, cause: cause, after: k.timing.atLeast - between(k.attempted, now)}
}

// start starts a load, unless one runs or the last one began too short a time ago. It returns what closes when a load that
// runs has ended, or nil.
func (k *keeper[T]) start(ctx context.Context, now time.Time) <-chan struct{} {
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

func (k *keeper[T]) run(ctx context.Context, known validators, flight chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	found, err := k.load(ctx, known)
	var value T
	if err == nil && found.data != nil {
		value, err = k.parse(found.data)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(flight)
	k.flight, k.failure = nil, err
	if err != nil {
		k.failed = k.attempted
		return
	}
	k.take(found, value)
}

// take replaces the value. Of the one before nothing is left, least of all a key that was revoked.
func (k *keeper[T]) take(found loaded, value T) {
	if found.data != nil {
		k.value, k.version = &value, sha256.Sum256(found.data)
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
