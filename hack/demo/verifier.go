package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
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

// fetch returns the set as a reader sees it whose copy is that much behind.
func (s *source) fetch(now time.Time, behind time.Duration) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, v := range slices.Backward(s.versions) {
		if i == 0 || !v.since.After(now.Add(-behind)) {
			return v.jwks, true
		}
	}
	return "", false
}

// verifier judges tokens with a JWK Set that it caches. It is built on a library of its own and shares no code with
// the operator.
type verifier struct {
	habit  string
	keys   *source
	behind time.Duration
	// refetch says that an unknown key ID makes it fetch at once.
	refetch bool

	fetched time.Time
	set     jose.JSONWebKeySet
}

// verifiers are the habits of real ones.
func verifiers(keys *source) []*verifier {
	return []*verifier{
		{habit: "caches for all of the time it may", keys: keys},
		{habit: "reads a mounted copy that is late, and caches", keys: keys, behind: propagation},
		{habit: "caches, and fetches again on an unknown key", keys: keys, refetch: true},
	}
}

func (v *verifier) load(now time.Time) error {
	text, ok := v.keys.fetch(now, v.behind)
	if !ok {
		return fmt.Errorf("no JWKS is published")
	}
	v.set = jose.JSONWebKeySet{}
	if err := json.Unmarshal([]byte(text), &v.set); err != nil {
		return fmt.Errorf("read JWKS: %w", err)
	}
	v.fetched = now
	return nil
}

// verify judges a token that is alive at now.
func (v *verifier) verify(now time.Time, token string) error {
	if v.fetched.IsZero() || now.Sub(v.fetched) >= cache {
		if err := v.load(now); err != nil {
			return err
		}
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		return fmt.Errorf("parse token: %w", err)
	}
	id := parsed.Headers[0].KeyID
	found := v.set.Key(id)
	if len(found) == 0 && v.refetch {
		if err := v.load(now); err != nil {
			return err
		}
		found = v.set.Key(id)
	}
	if len(found) != 1 {
		return fmt.Errorf("key %.8s is not in the JWKS fetched %s ago", id, now.Sub(v.fetched).Round(time.Millisecond))
	}
	var claims jwt.Claims
	if err := parsed.Claims(found[0], &claims); err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	return claims.ValidateWithLeeway(jwt.Expected{Time: now, AnyAudience: jwt.Audience{"https://api.demo.example"}}, 0)
}
