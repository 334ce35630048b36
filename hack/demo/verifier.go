package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/keyturn/keyturn/test/verifier"
)

// source is the published JWK Set of one key, as it changes. Readers of a mounted copy see it late.
type source struct {
	mu       sync.Mutex
	versions []version
}

type version struct {
	since time.Time
	jwks  string
}

func (s *source) publish(now time.Time, jwks string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = append(s.versions, version{since: now, jwks: jwks})
}

// late is the set as a reader sees it whose copy is that much behind.
func (s *source) late(behind time.Duration) verifier.Source {
	return func(_ context.Context, now time.Time) ([]byte, time.Duration, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, v := range slices.Backward(s.versions) {
			if i == 0 || !v.since.After(now.Add(-behind)) {
				return []byte(v.jwks), cache, nil
			}
		}
		return nil, 0, errors.New("no JWKS is published")
	}
}

// verifiers are the habits of real ones.
func verifiers(issuer string, keys *source) []*verifier.Verifier {
	verifiers := []*verifier.Verifier{
		{Habit: "caches for all of the time it may", Source: keys.late(0)},
		{Habit: "reads a mounted copy that is late, and caches", Source: keys.late(propagation)},
		{Habit: "caches, and fetches again on an unknown key", Source: keys.late(0), Refetch: true},
	}
	for _, v := range verifiers {
		v.Issuer, v.Audience, v.Keep = issuer, audience, cache
	}
	return verifiers
}
