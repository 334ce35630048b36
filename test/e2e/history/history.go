// Package history records what became of keys, tokens and published JWK Sets, and judges it by what Keyturn promises: a
// live token's key is in every JWKS, and a key leaves only when its last token has expired.
package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// History is what was seen, of any number of SigningKeys. Its zero value is empty, and it may be used concurrently.
type History struct {
	mu       sync.Mutex
	tokens   map[string]*token             // by token ID
	sets     map[string][]set              // by the ConfigMap that holds them
	keys     map[string]v1alpha1.KeyStatus // by key ID, as last seen
	listed   map[string][]string           // key IDs, by the SigningKey that lists them
	active   map[string]string             // key ID, by the SigningKey whose tokens it signs
	changes  map[string]int                // of active, by SigningKey
	problems []string
}

type token struct {
	key, issuer   string
	seen, expires time.Time
}

type set struct {
	since  time.Time
	issuer string
	keys   []string
}

// Token notes a token that a Secret holds.
func (h *History) Token(now time.Time, compact string) error {
	keyID, claims, err := verifier.Read(compact)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens == nil {
		h.tokens = map[string]*token{}
	}
	if h.tokens[claims.ID] == nil {
		h.tokens[claims.ID] = &token{key: keyID, issuer: claims.Issuer, seen: now, expires: claims.Expiry.Time()}
	}
	return nil
}

// JWKS notes what a ConfigMap publishes.
func (h *History) JWKS(now time.Time, where, issuer, jwks string) error {
	var published jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &published); err != nil {
		return fmt.Errorf("read JWKS: %w", err)
	}
	next := set{since: now, issuer: issuer}
	for _, key := range published.Keys {
		next.keys = append(next.keys, key.KeyID)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sets == nil {
		h.sets = map[string][]set{}
	}
	h.sets[where] = append(h.sets[where], next)
	return nil
}

// Status notes which keys a SigningKey lists.
func (h *History) Status(now time.Time, name string, status *v1alpha1.SigningKeyStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		h.keys, h.listed = map[string]v1alpha1.KeyStatus{}, map[string][]string{}
		h.active, h.changes = map[string]string{}, map[string]int{}
	}
	var listed []string
	for _, key := range status.Keys {
		h.keys[key.ID] = key
		listed = append(listed, key.ID)
	}
	for _, id := range h.listed[name] {
		if !slices.Contains(listed, id) {
			h.left(now, name, h.keys[id])
		}
	}
	h.listed[name] = listed
	if was := h.active[name]; was != "" && was != status.ActiveKeyID {
		h.changes[name]++
	}
	h.active[name] = status.ActiveKeyID
}

// left judges a key that its SigningKey lists no more.
func (h *History) left(now time.Time, name string, last v1alpha1.KeyStatus) {
	ended := last.State == v1alpha1.KeyRetired || last.State == v1alpha1.KeyRevoked
	switch {
	case !ended:
		h.problems = append(h.problems, fmt.Sprintf("%s has lost key %.8s, which was %s", name, last.ID, last.State))
	case last.RemoveAfter == nil || now.Before(last.RemoveAfter.Time):
		h.problems = append(h.problems, fmt.Sprintf("%s has lost key %.8s before its removeAfter", name, last.ID))
	}
}

// Rotations is how often another key of a SigningKey began to sign.
func (h *History) Rotations(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changes[name]
}

// Tokens is how many different tokens were seen.
func (h *History) Tokens() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.tokens)
}

// Keys is how many different keys were seen.
func (h *History) Keys() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.keys)
}

// Problems are the promises that were not kept until now.
func (h *History) Problems(now time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	problems := slices.Clone(h.problems)
	for _, where := range slices.Sorted(maps.Keys(h.sets)) {
		versions := h.sets[where]
		for i, version := range versions {
			until := now
			if i+1 < len(versions) {
				until = versions[i+1].since
			}
			problems = append(problems, h.missing(where, version, until)...)
			problems = append(problems, h.strays(where, version)...)
		}
	}
	return problems
}

// missing names the live tokens that a JWKS could not verify while it was published.
func (h *History) missing(where string, version set, until time.Time) []string {
	var problems []string
	for id, token := range h.tokens {
		alive := token.issuer == version.issuer && token.seen.Before(until) && version.since.Before(token.expires)
		if alive && h.keys[token.key].State != v1alpha1.KeyRevoked && !slices.Contains(version.keys, token.key) {
			problems = append(problems, fmt.Sprintf("%s was without key %.8s while its token %.8s was alive", where, token.key, id))
		}
	}
	slices.Sort(problems)
	return problems
}

// strays names the keys of a JWKS that no SigningKey has ever listed.
func (h *History) strays(where string, version set) []string {
	var problems []string
	for _, id := range version.keys {
		if _, known := h.keys[id]; !known {
			problems = append(problems, fmt.Sprintf("%s has had key %.8s, which no SigningKey lists", where, id))
		}
	}
	return problems
}
