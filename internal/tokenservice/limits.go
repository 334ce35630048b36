package tokenservice

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// Limits bound how often anybody asks. A rate of 0 is none.
type Limits struct {
	// PerAddress is how many requests per second one address may send, of IPv6 one network of 64 bits, which is what one host has;
	// behind a proxy all clients have its address.
	PerAddress float64
	// PerClient is how many requests per second one client may send, once it is proved: nobody else can use them up.
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
	mu                 sync.Mutex
	perAddress         float64
	perClient          float64
	addresses, clients *lru.Cache
}

func newLimits(l Limits) *limits {
	return &limits{perAddress: l.PerAddress, perClient: l.PerClient, addresses: lru.New(remembered), clients: lru.New(remembered)}
}

// address says whether an address may ask now, or how long it must wait.
func (l *limits) address(of string, now time.Time) (time.Duration, bool) {
	return take(l.bucket(l.addresses, network(of), l.perAddress), 1, now)
}

// network is what counts as one address.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	bits := 64
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(ip, bits).Masked().String()
}

// client says whether a client may ask now.
func (l *limits) client(id string, now time.Time) (time.Duration, bool) {
	return take(l.bucket(l.clients, id, l.perClient), 1, now)
}

// failed counts a request that proved no client.
func (l *limits) failed(of string, now time.Time) {
	if bucket := l.bucket(l.addresses, network(of), l.perAddress); bucket != nil {
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
