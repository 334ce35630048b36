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
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// ErrNoRing says that a SigningKey has no ring that can be read, yet or any more.
var ErrNoRing = errors.New("the SigningKey has no ring yet")

// confirmTimeout bounds one question to the API server, so that whoever waits for a token, or for admission, is told in time that
// nobody answers.
const confirmTimeout = 3 * time.Second

// Store reads rings. It is safe for concurrent use.
type Store struct {
	cache     client.Reader
	live      client.Reader
	clock     clock.PassiveClock
	staleness time.Duration

	mu    sync.Mutex
	rings map[types.UID]entry
}

// entry is the newest ring that is known of a SigningKey.
type entry struct {
	secret  types.UID
	version string
	ring    keyring.Keyring
	// heard is when a request was sent whose answer was this version; zero if only the cache has shown it.
	heard time.Time
}

// New makes a Store that reads from a cache and confirms by live reads. A signer may rely on a ring for staleness after
// the API server was last heard of it.
func New(cache, live client.Reader, clk clock.PassiveClock, staleness time.Duration) *Store {
	return &Store{cache: cache, live: live, clock: clk, staleness: staleness, rings: map[types.UID]entry{}}
}

// Ring returns the ring as the cache knows it, or a newer one if the API server has just shown that, or ErrNoRing. It is
// what a token is judged by.
func (s *Store) Ring(ctx context.Context, key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	e, err := s.cached(ctx, key, s.clock.Now())
	if err != nil {
		return keyring.Keyring{}, err
	}
	return e.believed(key)
}

// Latest returns what Ring does and, where that is ErrNoRing, what Confirmed does: the cache may not have heard of the ring yet
// that the SigningKey's status came with.
func (s *Store) Latest(ctx context.Context, key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	ring, err := s.Ring(ctx, key)
	if errors.Is(err, ErrNoRing) {
		return s.Confirmed(ctx, key)
	}
	return ring, err
}

// Fresh returns the ring as the API server knew it no longer than half the staleness ago, or ErrNoRing. It is what a
// token is signed with: a signer that cannot reach the API server stops before the retirement of its key has run out. It waits for
// the API server for 3 seconds at most. Such a token is issued at an instant from before the call, and not after: a process can be
// frozen while it waits for the answer.
func (s *Store) Fresh(ctx context.Context, key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	now := s.clock.Now()
	e, err := s.cached(ctx, key, now)
	if err == nil && s.isFresh(e, now) && !e.isOutdated(key) {
		return e.ring, nil
	}
	if err != nil && !errors.Is(err, ErrNoRing) {
		return keyring.Keyring{}, err
	}
	return s.Confirmed(ctx, key)
}

// Confirmed returns the ring as the API server knows it now, or ErrNoRing. It is what a token is judged by before it is
// refused: a key signs at once where it is the first, or follows a revoked one, and the cache may not have heard of it yet.
func (s *Store) Confirmed(ctx context.Context, key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	now := s.clock.Now()
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	secret, err := read(ctx, s.live, key)
	if err != nil {
		return keyring.Keyring{}, err
	}
	e, err := s.parse(key, secret)
	if err != nil {
		return keyring.Keyring{}, err
	}
	e.heard = now
	s.keep(key.UID, e)
	return e.believed(key)
}

// believed returns the ring, or ErrNoRing for one that somebody has rolled back: nobody judges or signs by it before the
// controller has made up for it.
func (e entry) believed(key *v1alpha1.SigningKey) (keyring.Keyring, error) {
	if e.isOutdated(key) {
		return keyring.Keyring{}, fmt.Errorf("%w: the one in its Secret is older than the one that its status speaks of", ErrNoRing)
	}
	return e.ring, nil
}

// isOutdated says whether the ring is older than the one that the status, which only the operator writes, speaks of.
func (e entry) isOutdated(key *v1alpha1.SigningKey) bool {
	return e.ring.Ring().Generation < key.Status.RingGeneration
}

// Forget drops what is kept of a SigningKey that is no more.
func (s *Store) Forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rings, uid)
}

// cached reads the cache. Where that lags behind what the API server has shown a short while ago, it counts for nothing.
func (s *Store) cached(ctx context.Context, key *v1alpha1.SigningKey, now time.Time) (entry, error) {
	secret, err := read(ctx, s.cache, key)
	if err != nil {
		return entry{}, err
	}
	if e, ok := s.kept(key.UID); ok && s.isFresh(e, now) && e.isNewerThan(secret) {
		return e, nil
	}
	return s.parse(key, secret)
}

func (s *Store) isFresh(e entry, now time.Time) bool {
	return now.Sub(e.heard) < s.staleness/2
}

func (e entry) isNewerThan(secret *corev1.Secret) bool {
	order, err := resourceversion.CompareResourceVersion(e.version, secret.ResourceVersion)
	return err == nil && order > 0 && e.secret == secret.UID
}

// read returns the Secret of a ring.
func read(ctx context.Context, reader client.Reader, key *v1alpha1.SigningKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: spec.RingSecretName(key)}
	if err := reader.Get(ctx, name, secret, client.UnsafeDisableDeepCopy); err != nil { // Nobody changes it.
		if client.IgnoreNotFound(err) == nil {
			return nil, ErrNoRing
		}
		return nil, fmt.Errorf("read ring of SigningKey %s/%s: %w", key.Namespace, key.Name, err)
	}
	if secret.Type != v1alpha1.SecretTypeSigningKey || !kube.Owns(key, "SigningKey", secret) {
		return nil, ErrNoRing
	}
	return secret, nil
}

// parse reads a ring once for each version of its Secret.
func (s *Store) parse(key *v1alpha1.SigningKey, secret *corev1.Secret) (entry, error) {
	if e, ok := s.kept(key.UID); ok && e.secret == secret.UID && e.version == secret.ResourceVersion {
		return e, nil
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrNoRing, err)
	}
	e := entry{secret: secret.UID, version: secret.ResourceVersion, ring: ring}
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
