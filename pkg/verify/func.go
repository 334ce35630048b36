package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

// Func takes the keys from the program itself: it returns a JWK Set, and a version that differs from that of every other set. It
// is asked for each token, so it must be quick and safe for concurrent use; the set is read when the version changes. An error
// means that there is no set now, and no token is accepted.
type Func func() (set []byte, version string, err error)

func (f Func) open(string, func() time.Time) (source[keySet], error) {
	return &inMemory{get: f}, require(f != nil, "Func is nil")
}

// inMemory reads the set of a Func once for each version.
type inMemory struct {
	get Func

	mu    sync.Mutex
	named string
	last  *snapshot[keySet]
}

func (m *inMemory) current(context.Context) (snapshot[keySet], error) {
	set, named, err := m.get()
	if err != nil {
		return snapshot[keySet]{}, &unavailableError{what: ErrKeysUnavailable, cause: fmt.Errorf("ask for keys: %w", err)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil && m.named == named {
		return *m.last, nil
	}
	keys, err := parseKeySet(set)
	if err != nil {
		return snapshot[keySet]{}, &unavailableError{what: ErrKeysUnavailable, cause: err}
	}
	m.named, m.last = named, &snapshot[keySet]{value: keys, version: sha256.Sum256(set)}
	return *m.last, nil
}

// newer has nothing newer: every call asks.
func (m *inMemory) newer(ctx context.Context, _ version) (snapshot[keySet], error) {
	return m.current(ctx)
}
