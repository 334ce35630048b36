package clientauth

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/spec"
)

const (
	// confirmInterval is how often the API server is asked for the Secret of a client at most, whatever secrets are sent.
	confirmInterval = time.Second
	// confirmTimeout bounds one such question.
	confirmTimeout = 2 * time.Second
	// mostConfirmed bounds for how many clients it is remembered when that was.
	mostConfirmed = 1024
)

// secrets judges client secrets.
type secrets struct {
	cache, live client.Reader
	clock       clock.PassiveClock

	mu        sync.Mutex
	confirmed map[types.UID]time.Time
}

func newSecrets(cache, live client.Reader, clk clock.PassiveClock) *secrets {
	return &secrets{cache: cache, live: live, clock: clk, confirmed: map[types.UID]time.Time{}}
}

// check says whether what was sent is a client secret of the client; nil is a client that does not exist.
func (s *secrets) check(ctx context.Context, c *v1alpha1.TokenClient, sent clientsecret.Value) error {
	if c == nil || spec.ClientSecretName(c) == "" {
		// Comparing with nothing takes as long, so that nobody can tell by the time whether there is such a client.
		clientsecret.Content{}.Accepts(sent, s.clock.Now())
		if c == nil {
			return refuse("the issuer has no such client")
		}
		return refuse("the client has no client secret, and proves itself in another way")
	}
	if s.read(ctx, s.cache, c).Accepts(sent, s.clock.Now()) {
		return nil
	}
	// A client secret that was rotated a moment ago can be ahead of the cache.
	if !sent.IsZero() && s.mayConfirm(c.UID) {
		ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
		defer cancel()
		if s.read(ctx, s.live, c).Accepts(sent, s.clock.Now()) {
			return nil
		}
	}
	return refuse("the client secret is wrong")
}

// read returns what the Secret of a client holds: nothing, if it cannot be read or is foreign.
func (s *secrets) read(ctx context.Context, from client.Reader, c *v1alpha1.TokenClient) clientsecret.Content {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: c.Namespace, Name: spec.ClientSecretName(c)}
	if err := from.Get(ctx, name, secret, client.UnsafeDisableDeepCopy); err != nil { // Nobody changes it.
		return clientsecret.Content{}
	}
	keeper := clientsecret.KeeperOf(c, secret)
	if keeper == clientsecret.Foreign {
		return clientsecret.Content{}
	}
	return clientsecret.Read(secret, keeper)
}

// mayConfirm says whether the API server may be asked again for the Secret of a client.
func (s *secrets) mayConfirm(uid types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if last, ok := s.confirmed[uid]; ok && now.Sub(last) < confirmInterval {
		return false
	}
	for other, last := range s.confirmed {
		if len(s.confirmed) < mostConfirmed {
			break
		}
		if now.Sub(last) >= confirmInterval {
			delete(s.confirmed, other)
		}
	}
	if len(s.confirmed) >= mostConfirmed {
		return false
	}
	s.confirmed[uid] = now
	return true
}
