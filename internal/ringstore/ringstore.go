// Package ringstore gives signers and judges the ring of a SigningKey: parsed once for each version of its Secret, and,
// for whoever is about to sign, confirmed by the API server a short while ago.
package ringstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// ErrNoRing says that a SigningKey has no ring that can be read, yet or any more.
var ErrNoRing = errors.New("the SigningKey has no ring yet")

// Store reads rings. It is safe for concurrent use.
type Store struct {
	cache     client.Reader
	live      client.Reader
	clock     clock.PassiveClock
	staleness time.Duration

	mu    sync.Mutex
	rings map[types.UID]entry
}

type entry struct {
	version string
	ring    keyring.Keyring
	// heard is when a request was sent whose answer was this version.
	heard time.Time
}

// New makes a Store that reads from a cache and confirms by live reads. A signer may rely on a ring for staleness after
// the API server was last heard of it.
func New(cache, live client.Reader, clk clock.PassiveClock, staleness time.Duration) *Store {
	return &Store{cache: cache, live: live, clock: clk, staleness: staleness, rings: map[types.UID]entry{}}
}

// Ring returns the ring as the cache knows it, or ErrNoRing. It is what a token is judged by.
func (s *Store) Ring(ctx context.Context, key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	e, err := s.read(ctx, s.cache, key)
	return e.ring, err
}

// Fresh returns the ring as the API server knew it no longer than half the staleness ago, or ErrNoRing. It is what a
// token is signed with: a signer that cannot reach the API server stops before the retirement of its key has run out.
func (s *Store) Fresh(ctx context.Context, key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	now := s.clock.Now()
	e, err := s.read(ctx, s.cache, key)
	if err == nil && !e.heard.IsZero() && now.Sub(e.heard) < s.staleness/2 {
		return e.ring, nil
	}
	if err != nil && !errors.Is(err, ErrNoRing) {
		return keyring.Keyring{}, err
	}
	if e, err = s.read(ctx, s.live, key); err != nil {
		return keyring.Keyring{}, err
	}
	e.heard = now
	s.keep(key.UID, e)
	return e.ring, nil
}

// Forget drops what is kept of a SigningKey that is no more.
func (s *Store) Forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rings, uid)
}

func (s *Store) read(ctx context.Context, reader client.Reader, key *v1alpha1.SigningKey) (entry, error) {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: spec.RingSecretName(key)}
	if err := reader.Get(ctx, name, secret); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return entry{}, ErrNoRing
		}
		return entry{}, fmt.Errorf("read ring of SigningKey %s/%s: %w", key.Namespace, key.Name, err)
	}
	if secret.Type != v1alpha1.SecretTypeSigningKey || !kube.Owns(key, "SigningKey", secret) {
		return entry{}, ErrNoRing
	}
	version := string(secret.UID) + "/" + secret.ResourceVersion
	if e, ok := s.kept(key.UID); ok && e.version == version {
		return e, nil
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrNoRing, err)
	}
	e := entry{version: version, ring: ring}
	s.keep(key.UID, e)
	return e, nil
}

func (s *Store) kept(uid types.UID) (entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.rings[uid]
	return e, ok
}

func (s *Store) keep(uid types.UID, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rings[uid] = e
}
