package ringstore_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/ringstore"
)

// staleness is how long a signer may rely on what it has heard; half of it passes between two live reads.
const staleness = 10 * time.Minute

// reader is a cache, or the API server, that holds at most one Secret and counts who asks.
type reader struct {
	client.Reader
	mu     sync.Mutex
	secret *corev1.Secret
	err    error
	gets   int
}

func (r *reader) Get(_ context.Context, name client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gets++
	if r.err != nil {
		return r.err
	}
	if r.secret == nil || client.ObjectKeyFromObject(r.secret) != name {
		return apierrors.NewNotFound(corev1.Resource("secrets"), name.Name)
	}
	r.secret.DeepCopyInto(into.(*corev1.Secret))
	return nil
}

func (r *reader) set(secret *corev1.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

// ask is one of the two questions to a store.
type ask func(context.Context, *v1alpha1.SigningKey) (keyring.Keyring, error)

// bench is a store between a cache and an API server.
type bench struct {
	cache, live *reader
	clock       *clocktesting.FakePassiveClock
	store       *ringstore.Store
	key         *v1alpha1.SigningKey
}

func newBench() *bench {
	b := &bench{
		cache: &reader{}, live: &reader{},
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		key:   &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main", UID: "owner"}},
	}
	b.store = ringstore.New(b.cache, b.live, b.clock, staleness)
	return b
}

func (b *bench) asks() map[string]ask {
	return map[string]ask{"Ring": b.store.Ring, "Fresh": b.store.Fresh}
}

func (b *bench) step(d time.Duration) { b.clock.SetTime(b.clock.Now().Add(d)) }

// both shows a Secret to the cache and to the API server.
func (b *bench) both(secret *corev1.Secret) {
	b.cache.set(secret)
	b.live.set(secret)
}

// ringSecret is the Secret of the bench's SigningKey with a new ring in it, and the ID of the key that signs.
func ringSecret(t testing.TB, version int) (*corev1.Secret, string) {
	t.Helper()
	minter := &keyring.Minter{}
	out, err := rotation.Ring{}.Advance(rotation.Policy{Algorithm: "EdDSA"}, nil, time.Unix(1e9, 0), minter.Mint)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Keyring{}.With(out.Ring, minter, jose.KeySet{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	active, _ := out.Ring.ActiveKey()
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "bank", Name: "main-signing-key", UID: "secret", ResourceVersion: strconv.Itoa(version),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(
				&metav1.ObjectMeta{Name: "main", UID: "owner"}, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: v1alpha1.SecretTypeSigningKey, Data: data,
	}, active.ID
}

// mustSign asks for a ring and expects the key that signs in it.
func (b *bench) mustSign(t testing.TB, ask ask, want string) {
	t.Helper()
	ring, err := ask(t.Context(), b.key)
	if err != nil {
		t.Fatal(err)
	}
	if signer, _ := ring.Signer(); signer.ID() != want {
		t.Fatalf("the signer is %q, want %q", signer.ID(), want)
	}
}

func (b *bench) mustHaveAsked(t testing.TB, times int, when string) {
	t.Helper()
	if b.live.gets != times {
		t.Fatalf("%s: the API server was asked %d times, want %d", when, b.live.gets, times)
	}
}

func TestRingComesFromTheCacheAlone(t *testing.T) {
	b := newBench()
	secret, id := ringSecret(t, 7)
	b.cache.set(secret)
	b.live.err = errors.New("down")
	for range 3 {
		b.mustSign(t, b.store.Ring, id)
		b.step(time.Hour)
	}
	b.mustHaveAsked(t, 0, "after looking at the ring")
}

// TestARingIsParsedOnceForEachVersion hands out other bytes under the same version to see whether they are read.
func TestARingIsParsedOnceForEachVersion(t *testing.T) {
	b := newBench()
	first, firstID := ringSecret(t, 7)
	b.cache.set(first)
	b.mustSign(t, b.store.Ring, firstID)

	other, otherID := ringSecret(t, 7)
	b.cache.set(other)
	b.mustSign(t, b.store.Ring, firstID)

	newer := other.DeepCopy()
	newer.ResourceVersion = "8"
	b.cache.set(newer)
	b.mustSign(t, b.store.Ring, otherID)

	recreated, recreatedID := ringSecret(t, 8)
	recreated.UID = "another secret"
	b.cache.set(recreated)
	b.mustSign(t, b.store.Ring, recreatedID)
}

func TestARingIsParsedAnewAfterForget(t *testing.T) {
	b := newBench()
	first, firstID := ringSecret(t, 7)
	b.both(first)
	b.mustSign(t, b.store.Fresh, firstID)
	b.store.Forget(b.key.UID)
	other, otherID := ringSecret(t, 7)
	b.both(other)
	b.mustSign(t, b.store.Ring, otherID)
	b.mustSign(t, b.store.Fresh, otherID)
	b.mustHaveAsked(t, 2, "after forgetting")
}

func TestRingsOfTwoKeysAreKeptApart(t *testing.T) {
	b := newBench()
	secret, id := ringSecret(t, 7)
	b.cache.set(secret)
	b.mustSign(t, b.store.Ring, id)
	b.key = b.key.DeepCopy()
	b.key.Name, b.key.UID = "second", "second"
	second, secondID := ringSecret(t, 7)
	second.Name, second.OwnerReferences[0].UID = "second-signing-key", "second"
	b.cache.set(second)
	b.mustSign(t, b.store.Ring, secondID)
}

func TestFreshAsksTheAPIServerOnceInHalfTheStaleness(t *testing.T) {
	b := newBench()
	secret, id := ringSecret(t, 7)
	b.both(secret)
	for range 3 {
		b.mustSign(t, b.store.Fresh, id)
	}
	b.mustHaveAsked(t, 1, "at once")
	b.step(staleness/2 - 1)
	b.mustSign(t, b.store.Fresh, id)
	b.mustSign(t, b.store.Ring, id)
	b.mustHaveAsked(t, 1, "just before half the staleness")
	b.step(1)
	b.mustSign(t, b.store.Fresh, id)
	b.mustSign(t, b.store.Fresh, id)
	b.mustHaveAsked(t, 2, "at half the staleness")
	b.step(100 * staleness)
	b.mustSign(t, b.store.Fresh, id)
	b.mustHaveAsked(t, 3, "long after")
}

// TestFreshNeverRestsOnAnOlderRingThanTheCache is what makes a revocation quick: a watch that brings a new ring ends the
// trust in the one before.
func TestFreshNeverRestsOnAnOlderRingThanTheCache(t *testing.T) {
	b := newBench()
	first, firstID := ringSecret(t, 9)
	b.both(first)
	b.mustSign(t, b.store.Fresh, firstID)
	second, secondID := ringSecret(t, 10)
	b.both(second)
	b.mustSign(t, b.store.Fresh, secondID)
	b.mustHaveAsked(t, 2, "after the cache has shown another ring")
	b.mustSign(t, b.store.Fresh, secondID)
	b.mustHaveAsked(t, 2, "again")
}

// TestACacheThatLagsBehindTheAPIServer counts the reads, and looks at both rings: what was signed with the new ring must
// not be judged by the old one, or it is issued again.
func TestACacheThatLagsBehindTheAPIServer(t *testing.T) {
	b := newBench()
	old, oldID := ringSecret(t, 9)
	b.cache.set(old)
	b.mustSign(t, b.store.Ring, oldID)
	newer, newerID := ringSecret(t, 10)
	b.live.set(newer)
	for range 3 {
		b.mustSign(t, b.store.Fresh, newerID)
		b.mustSign(t, b.store.Ring, newerID)
	}
	b.mustHaveAsked(t, 1, "while the cache lags")
	b.step(staleness / 2)
	b.mustSign(t, b.store.Fresh, newerID)
	b.mustSign(t, b.store.Fresh, newerID)
	b.mustHaveAsked(t, 2, "at half the staleness")
	b.cache.set(newer)
	b.mustSign(t, b.store.Fresh, newerID)
	b.mustHaveAsked(t, 2, "after the cache has caught up")
}

// TestARestoreOfAnOlderRingIsSeen has versions go back, as after a restore of etcd: the cache is believed again when the
// last word of the API server is too old.
func TestARestoreOfAnOlderRingIsSeen(t *testing.T) {
	b := newBench()
	newer, newerID := ringSecret(t, 10)
	b.both(newer)
	b.mustSign(t, b.store.Fresh, newerID)
	older, olderID := ringSecret(t, 9)
	b.both(older)
	b.step(staleness / 2)
	b.mustSign(t, b.store.Ring, olderID)
	b.mustSign(t, b.store.Fresh, olderID)
	b.mustSign(t, b.store.Ring, olderID)
}

// TestARingThatIsOlderThanTheStatusTellsIsNotBelieved because its keys may have been revoked or removed since, and tokens of
// those that followed would look as if nobody could verify them.
func TestARingThatIsOlderThanTheStatusTellsIsNotBelieved(t *testing.T) {
	b := newBench()
	older, _ := ringSecret(t, 11)
	b.both(older)
	b.key.Status.RingGeneration = 2
	for name, ask := range b.asks() {
		if ring, err := ask(t.Context(), b.key); !errors.Is(err, ringstore.ErrNoRing) || !ring.IsEmpty() {
			t.Errorf("%s: error is %v, want %v", name, err, ringstore.ErrNoRing)
		}
	}
	b.key.Status.RingGeneration = 1
	for _, ask := range b.asks() {
		if _, err := ask(t.Context(), b.key); err != nil {
			t.Error(err)
		}
	}
}

// TestACacheThatIsBehindTheStatusIsNotWaitedFor because caches of two kinds follow each for itself.
func TestACacheThatIsBehindTheStatusIsNotWaitedFor(t *testing.T) {
	for name, ask := range map[string]func(*ringstore.Store) ask{
		"Fresh":  func(s *ringstore.Store) ask { return s.Fresh },
		"Latest": func(s *ringstore.Store) ask { return s.Latest },
	} {
		t.Run(name, func(t *testing.T) { isNotWaitedFor(t, ask) })
	}
}

func isNotWaitedFor(t *testing.T, ask func(*ringstore.Store) ask) {
	b := newBench()
	older, _ := ringSecret(t, 10)
	b.both(older)
	_, err := ask(b.store)(t.Context(), b.key)
	if err != nil {
		t.Fatal(err)
	}
	newer, newerID := ringSecret(t, 11)
	data, err := keyring.Decode(newer.Data)
	if err != nil {
		t.Fatal(err)
	}
	next := data.Ring()
	next.Generation = 2
	ring, err := data.With(next, &keyring.Minter{}, jose.KeySet{})
	if err != nil {
		t.Fatal(err)
	}
	if newer.Data, err = ring.Encode(); err != nil {
		t.Fatal(err)
	}
	b.live.set(newer)
	b.key.Status.RingGeneration = 2
	b.mustSign(t, ask(b.store), newerID)
}

// TestASecretThatWasMadeAnewIsSeenAtOnce although its version may be any.
func TestASecretThatWasMadeAnewIsSeenAtOnce(t *testing.T) {
	b := newBench()
	first, firstID := ringSecret(t, 10)
	b.both(first)
	b.mustSign(t, b.store.Fresh, firstID)
	second, secondID := ringSecret(t, 9)
	second.UID = "another secret"
	b.both(second)
	b.mustSign(t, b.store.Ring, secondID)
	b.mustSign(t, b.store.Fresh, secondID)
}

func TestASignerStopsWhenItHearsNothing(t *testing.T) {
	b := newBench()
	secret, id := ringSecret(t, 7)
	b.both(secret)
	b.mustSign(t, b.store.Fresh, id)
	down := errors.New("connection refused")
	b.live.err = down
	b.step(staleness/2 - 1)
	b.mustSign(t, b.store.Fresh, id)
	b.step(1)
	for range 2 {
		ring, err := b.store.Fresh(t.Context(), b.key)
		if !errors.Is(err, down) || errors.Is(err, ringstore.ErrNoRing) || !strings.Contains(err.Error(), "bank/main") {
			t.Fatalf("error is %v, want one that names the SigningKey and says %q", err, down)
		}
		if !ring.IsEmpty() {
			t.Fatal("a ring comes with the error")
		}
	}
	b.mustSign(t, b.store.Ring, id)
	b.live.err = nil
	b.mustSign(t, b.store.Fresh, id)
}

// silent is an API server that does not answer.
type silent struct{ client.Reader }

func (silent) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestASignerWaitsForTheAPIServerForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		secret, _ := ringSecret(t, 1)
		b.cache.set(secret)
		store := ringstore.New(b.cache, silent{}, b.clock, staleness)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if _, err := store.Fresh(ctx, b.key); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("error is %v, and that of who asks %v", err, ctx.Err())
		}
	})
}

func TestASignerThatNeverHeardDoesNotStart(t *testing.T) {
	b := newBench()
	b.cache.secret, _ = ringSecret(t, 7)
	b.live.err = errors.New("connection refused")
	if _, err := b.store.Fresh(t.Context(), b.key); !errors.Is(err, b.live.err) {
		t.Errorf("error is %v, want %v", err, b.live.err)
	}
}

func TestACacheThatFailsIsNoAbsence(t *testing.T) {
	b := newBench()
	b.live.secret, _ = ringSecret(t, 7)
	b.cache.err = errors.New("cache is not started")
	for name, ask := range b.asks() {
		if _, err := ask(t.Context(), b.key); !errors.Is(err, b.cache.err) || errors.Is(err, ringstore.ErrNoRing) {
			t.Errorf("%s: error is %v, want %v", name, err, b.cache.err)
		}
	}
}

// TestFreshFindsWhatTheCacheDoesNotSelect reads a Secret that lost the label by which the cache selects.
func TestFreshFindsWhatTheCacheDoesNotSelect(t *testing.T) {
	b := newBench()
	secret, id := ringSecret(t, 7)
	b.live.set(secret)
	if _, err := b.store.Ring(t.Context(), b.key); !errors.Is(err, ringstore.ErrNoRing) {
		t.Errorf("error is %v, want %v", err, ringstore.ErrNoRing)
	}
	b.mustSign(t, b.store.Fresh, id)
}

func TestNoRing(t *testing.T) {
	cases := map[string]func(*corev1.Secret) *corev1.Secret{
		"no Secret": func(*corev1.Secret) *corev1.Secret { return nil },
		"a Secret of another type": func(s *corev1.Secret) *corev1.Secret {
			s.Type = corev1.SecretTypeOpaque
			return s
		},
		"a Secret of a token": func(s *corev1.Secret) *corev1.Secret {
			s.Type = v1alpha1.SecretTypeToken
			return s
		},
		"a Secret of nobody": func(s *corev1.Secret) *corev1.Secret {
			s.OwnerReferences = nil
			return s
		},
		"a Secret of another SigningKey": func(s *corev1.Secret) *corev1.Secret {
			s.OwnerReferences[0].UID, s.OwnerReferences[0].Name = "other", "other"
			return s
		},
		"a Secret with nothing in it": func(s *corev1.Secret) *corev1.Secret {
			s.Data = nil
			return s
		},
		"a Secret with a ring cut short": func(s *corev1.Secret) *corev1.Secret {
			s.Data["ring.json"] = s.Data["ring.json"][1:]
			return s
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			good, _ := ringSecret(t, 7)
			private := string(good.Data["signing-key.jwk"])
			b.both(change(good))
			for name, ask := range b.asks() {
				ring, err := ask(t.Context(), b.key)
				if !errors.Is(err, ringstore.ErrNoRing) || strings.Contains(err.Error(), private[:60]) {
					t.Errorf("%s: error is %v, want %v", name, err, ringstore.ErrNoRing)
				}
				if !ring.IsEmpty() {
					t.Errorf("%s: a ring comes with the error", name)
				}
			}
		})
	}
}

// TestARingThatIsLostIsNotServedFromMemory although it was good a moment ago.
func TestARingThatIsLostIsNotServedFromMemory(t *testing.T) {
	b := newBench()
	secret, id := ringSecret(t, 7)
	b.both(secret)
	b.mustSign(t, b.store.Fresh, id)
	b.both(nil)
	for name, ask := range b.asks() {
		if _, err := ask(t.Context(), b.key); !errors.Is(err, ringstore.ErrNoRing) {
			t.Errorf("%s: error is %v, want %v", name, err, ringstore.ErrNoRing)
		}
	}
}

// TestManyWorkers is for the race detector.
func TestManyWorkers(t *testing.T) {
	b := newBench()
	secret, _ := ringSecret(t, 7)
	b.both(secret)
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for i := range 20 {
				key := b.key.DeepCopy()
				if worker == 0 && i%5 == 0 {
					b.store.Forget(types.UID("owner"))
				}
				if _, err := b.store.Fresh(t.Context(), key); err != nil {
					t.Error(err)
				}
				if _, err := b.store.Ring(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}
