package verifier

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Published is the JWK Set of an issuer as it changes. Readers of a mounted copy see it late. Its zero value is empty.
type Published struct {
	mu       sync.Mutex
	versions []version
}

type version struct {
	since time.Time
	jwks  string
}

// Publish says that the set is this one from now on.
func (p *Published) Publish(now time.Time, jwks string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions = append(p.versions, version{since: now, jwks: jwks})
}

// Late is the set as a reader sees it whose copy is that much behind, and who may keep it for that long.
func (p *Published) Late(behind, fresh time.Duration) Source {
	return func(_ context.Context, now time.Time) ([]byte, time.Duration, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i, v := range slices.Backward(p.versions) {
			if i == 0 || !v.since.After(now.Add(-behind)) {
				return []byte(v.jwks), fresh, nil
			}
		}
		return nil, 0, errors.New("no JWKS is published")
	}
}

// Verifiers have the habits of real ones who read the published set. They cache for as long as it was declared, and a copy of the
// set reaches them as late as it was.
func (p *Published) Verifiers(issuer, audience string, cache, propagation time.Duration) []*Verifier {
	verifiers := []*Verifier{
		{Habit: "caches for all of the time it may", Source: p.Late(0, cache)},
		{Habit: "reads a mounted copy that is late, and caches", Source: p.Late(propagation, cache)},
		{Habit: "caches, and fetches again on an unknown key", Source: p.Late(0, cache), Refetch: true},
	}
	for _, v := range verifiers {
		v.Issuer, v.Audience, v.Keep = issuer, audience, cache
	}
	return verifiers
}
