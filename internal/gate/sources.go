package gate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/pkg/verify"
)

// sources are the keys of external issuers, fetched once for all policies that accept an issuer under the same terms. There are as
// many as the policies ask for now. The user holds a lock of its own.
type sources struct {
	clock  func() time.Time
	shared map[terms]*counted
}

// terms are what makes two sources the same.
type terms struct {
	issuer, url  string
	ca           [sha256.Size]byte
	cache, stale time.Duration
}

type counted struct {
	keys  *verify.Shared
	users int
}

func newSources(clock func() time.Time) *sources {
	return &sources{clock: clock, shared: map[terms]*counted{}}
}

func termsOf(e *v1alpha1.ExternalIssuer) terms {
	cache, stale := spec.ExternalCache(e)
	return terms{issuer: e.Issuer, url: e.JWKSURL, ca: sha256.Sum256([]byte(e.CABundle)), cache: cache, stale: stale}
}

// take returns the keys of an external issuer for one more user, which gives them back by release.
func (s *sources) take(e *v1alpha1.ExternalIssuer) (*verify.Shared, error) {
	key := termsOf(e)
	if known, ok := s.shared[key]; ok {
		known.users++
		return known.keys, nil
	}
	keys, err := verify.Share(e.Issuer, sourceOf(e, key), s.clock)
	if err != nil {
		return nil, fmt.Errorf("cannot be used: %w", errors.Unwrap(err))
	}
	s.shared[key] = &counted{keys: keys, users: 1}
	return keys, nil
}

func (s *sources) release(key terms) {
	known, ok := s.shared[key]
	if !ok {
		return
	}
	if known.users--; known.users == 0 {
		delete(s.shared, key)
	}
}

func sourceOf(e *v1alpha1.ExternalIssuer, t terms) verify.KeySource {
	fetch := verify.Fetch{CacheDuration: t.cache, MaxStale: t.stale}
	if t.stale == 0 {
		fetch.MaxStale = -1 // Not at all.
	}
	if e.CABundle != "" {
		fetch.CA = []byte(e.CABundle)
	}
	if e.JWKSURL == "" {
		return verify.Discovery{Fetch: fetch}
	}
	return verify.URL{URL: e.JWKSURL, Fetch: fetch}
}

func algorithms(of []v1alpha1.Algorithm) []verify.Algorithm {
	accepted := make([]verify.Algorithm, 0, len(of))
	for _, one := range of {
		accepted = append(accepted, verify.Algorithm(one))
	}
	return accepted
}

// publishedKeys are the keys of a SigningKey, as this replica publishes them.
func publishedKeys(published Published, key types.NamespacedName) verify.KeySource {
	return verify.Func(func() (set []byte, version string, err error) {
		set, version = published.JWKS(key)
		if set == nil {
			err = fmt.Errorf("SigningKey %s publishes no key", key)
		}
		return set, version, err
	})
}
