package tokenservice

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// Limits bound how often anybody asks. A rate of 0 is none.
type Limits struct {
	// PerAddress is how many requests per second one address may send; behind a proxy all clients have its address.
	PerAddress float64
	// PerClient is how many requests per second may name one client.
	PerClient float64
}

const (
	// burst is for how many seconds of its rate somebody may ask at once.
	burst = 4
	// failureCost is for how many requests counts one that proves no client.
	failureCost = 10
	// remembered bounds of how many addresses, and of how many clients, is known how often they asked.
	remembered = 10_000
)

// limits know how often addresses and clients have asked.
type limits struct {
	mu                sync.Mutex
	perAddress        float64
	perClient         float64
	addresses, claims *lru.Cache
}

func newLimits(l Limits) *limits {
	return &limits{perAddress: l.PerAddress, perClient: l.PerClient, addresses: lru.New(remembered), claims: lru.New(remembered)}
}

// address says whether an address may ask now, or how long it must wait.
func (l *limits) address(of string, now time.Time) (time.Duration, bool) {
	return take(l.bucket(l.addresses, of, l.perAddress), 1, now)
}

// client says whether somebody may ask now who says that he is that client.
func (l *limits) client(id string, now time.Time) (time.Duration, bool) {
	return take(l.bucket(l.claims, id, l.perClient), 1, now)
}

// failed counts a request that proved no client.
func (l *limits) failed(of string, now time.Time) {
	if bucket := l.bucket(l.addresses, of, l.perAddress); bucket != nil {
		bucket.ReserveN(now, failureCost-1)
	}
}

func (l *limits) bucket(all *lru.Cache, of string, perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := all.Get(of); ok {
		if bucket, ok := known.(*rate.Limiter); ok {
			return bucket
		}
	}
	bucket := rate.NewLimiter(rate.Limit(perSecond), max(int(burst*perSecond), failureCost))
	all.Add(of, bucket)
	return bucket
}

func take(bucket *rate.Limiter, n int, now time.Time) (time.Duration, bool) {
	if bucket == nil || bucket.AllowN(now, n) {
		return 0, true
	}
	missing := float64(n) - bucket.TokensAt(now)
	return time.Duration(missing / float64(bucket.Limit()) * float64(time.Second)), false
}
