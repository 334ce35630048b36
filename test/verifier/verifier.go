// Package verifier judges tokens as somebody does who caches a JWK Set. It is built on a JOSE library of its own and shares
// no code with the operator.
package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Source returns the text of a JWK Set as it is published now, and how long it is fresh.
type Source func(ctx context.Context, now time.Time) (jwks []byte, fresh time.Duration, err error)

// Verifier judges tokens of one issuer with a JWK Set that it caches. It is for one goroutine at a time.
type Verifier struct {
	// Habit says how it caches, for people.
	Habit            string
	Issuer, Audience string
	Source           Source
	// Keep is the longest that it judges by one JWK Set: the verifierCacheDuration that was declared to the issuer.
	// A set that is no longer fresh is kept that long if there is no newer one to be had.
	Keep time.Duration
	// Ahead says that it asks the source again when half of the time is over for which the set is fresh, so that a source
	// that does not answer for a while goes unnoticed.
	Ahead bool
	// Refetch says that an unknown key ID makes it ask the source at once.
	Refetch bool

	set     jose.JSONWebKeySet
	fetched time.Time // when the set was asked for
	fresh   time.Duration
}

// algorithms are all that Keyturn signs with.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
	}
}

// Read reads what a compact token says, and the ID of the key it names, and believes neither.
func Read(compact string) (keyID string, claims jwt.Claims, err error) {
	parsed, err := parse(compact)
	if err != nil {
		return "", jwt.Claims{}, err
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return "", jwt.Claims{}, fmt.Errorf("read claims: %w", err)
	}
	return parsed.Headers[0].KeyID, claims, nil
}

// Claims are all that a compact token says, of which nothing is believed.
func Claims(compact string) (map[string]any, error) {
	parsed, err := parse(compact)
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	return claims, nil
}

func parse(compact string) (*jwt.JSONWebToken, error) {
	parsed, err := jwt.ParseSigned(compact, algorithms())
	if err != nil {
		return nil, fmt.Errorf("parse token: %w", err)
	}
	return parsed, nil
}

// Verify judges a token at now. No clock skew is granted: whoever issues must see to that.
func (v *Verifier) Verify(ctx context.Context, now time.Time, compact string) error {
	parsed, err := parse(compact)
	if err != nil {
		return err
	}
	key, err := v.key(ctx, now, parsed.Headers[0].KeyID)
	if err != nil {
		return err
	}
	if key.Algorithm != parsed.Headers[0].Algorithm {
		return fmt.Errorf("the token says algorithm %s, its key %s", parsed.Headers[0].Algorithm, key.Algorithm)
	}
	var claims jwt.Claims
	if err := parsed.Claims(key, &claims); err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	expected := jwt.Expected{Time: now, Issuer: v.Issuer, AnyAudience: jwt.Audience{v.Audience}}
	return claims.ValidateWithLeeway(expected, 0)
}

// key returns the key of that ID.
func (v *Verifier) key(ctx context.Context, now time.Time, id string) (jose.JSONWebKey, error) {
	if err := v.refresh(ctx, now); err != nil {
		return jose.JSONWebKey{}, err
	}
	found := v.set.Key(id)
	if len(found) == 0 && v.Refetch {
		if err := v.fetch(ctx, now); err != nil {
			return jose.JSONWebKey{}, err
		}
		found = v.set.Key(id)
	}
	if len(found) != 1 {
		return jose.JSONWebKey{}, fmt.Errorf("key %.8s is in the JWKS fetched %s ago %d times, want 1", id, now.Sub(v.fetched).Round(time.Millisecond), len(found))
	}
	return found[0], nil
}

// refresh sees to it that the set is one that may be judged by.
func (v *Verifier) refresh(ctx context.Context, now time.Time) error {
	age, due := now.Sub(v.fetched), v.fresh
	if v.Ahead {
		due /= 2
	}
	if !v.fetched.IsZero() && age < min(due, v.Keep) {
		return nil
	}
	err := v.fetch(ctx, now)
	if err != nil && !v.fetched.IsZero() && age < v.Keep {
		return nil // The set at hand may still be judged by.
	}
	return err
}

func (v *Verifier) fetch(ctx context.Context, now time.Time) error {
	text, fresh, err := v.Source(ctx, now)
	if err != nil {
		return fmt.Errorf("fetch JWKS: %w", err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("read JWKS: %w", err)
	}
	if len(set.Keys) == 0 {
		return errors.New("the JWKS is empty")
	}
	if slices.ContainsFunc(set.Keys, func(key jose.JSONWebKey) bool { return !key.IsPublic() }) {
		return errors.New("the JWKS holds a private key")
	}
	v.set, v.fetched, v.fresh = set, now, fresh
	return nil
}
