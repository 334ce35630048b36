package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	issuers   map[string]*issuer
	skew      time.Duration
	realm     string
	refused   func(context.Context, error)
	recalled  func(context.Context, bool)
	prepare   func(*Token) any
	clock     func() time.Time
	remembers *memory
}

// issuer is an Issuer with its defaults, and its keys.
type issuer struct {
	name             string
	audiences, types []string
	algorithms       []Algorithm
	keys             source[keySet]
	denyList         denier // nil if there is none
}

// New makes a Verifier. It reads no keys yet, so that an application can start while its issuer is away; see
// [Verifier.Ready]. The error names each field that is wrong.
func New(options Options) (*Verifier, error) {
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("make verifier: %w", err)
	}
	v := &Verifier{
		issuers: map[string]*issuer{}, skew: options.ClockSkew, realm: options.Realm, refused: options.Refused,
		recalled: options.Recalled, prepare: options.Prepare, clock: options.Clock, remembers: newMemory(options.CacheSize),
	}
	v.clock = clockOr(v.clock)
	if v.realm == "" {
		v.realm = defaultRealm
	}
	for i, given := range options.Issuers {
		made, err := newIssuer(given, v.clock)
		if err != nil {
			return nil, fmt.Errorf("make verifier: Issuers[%d]: %w", i, err)
		}
		v.issuers[given.Name] = made
	}
	return v, nil
}

// clockOr is the clock that is given, or the one of the machine.
func clockOr(given func() time.Time) func() time.Time {
	if given == nil {
		return time.Now
	}
	return given
}

func newIssuer(given Issuer, clock func() time.Time) (*issuer, error) {
	keys, err := given.Keys.open(given.Name, clock)
	if err != nil {
		return nil, fmt.Errorf("field Keys: %w", err)
	}
	made := &issuer{
		name: given.Name, audiences: slices.Clone(given.Audiences), algorithms: slices.Clone(given.Algorithms), keys: keys,
	}
	if given.DenyList != nil {
		if made.denyList, err = given.DenyList.openDenyList(given.Name, clock); err != nil {
			return nil, fmt.Errorf("field DenyList: %w", err)
		}
	}
	for _, typ := range given.Types {
		made.types = append(made.types, mediaType(typ))
	}
	if len(made.types) == 0 {
		made.types = []string{TypeAccessToken, TypeJWT, ""}
	}
	if len(made.algorithms) == 0 {
		made.algorithms = Algorithms()
	}
	return made, nil
}

// Ready returns [ErrKeysUnavailable] or [ErrDenyListUnavailable] while the keys, or the deny list, of an issuer are not at hand, and
// fetches them if need be. It is for a readiness probe, or to warm up.
func (v *Verifier) Ready(ctx context.Context) error {
	var problems []error
	for name, issuer := range v.issuers {
		if _, err := issuer.keys.current(ctx); err != nil {
			problems = append(problems, fmt.Errorf("keys of %s: %w", name, err))
		}
		if list, ok := issuer.denyList.(published); ok {
			if _, err := list.current(ctx); err != nil {
				problems = append(problems, fmt.Errorf("deny list of %s: %w", name, err))
			}
		}
	}
	return errors.Join(problems...)
}

// Verify returns what a compact token says if it is to be accepted: signed by one of the issuers with one of its keys,
// for one of its audiences, and neither expired nor ahead of its time. Otherwise the error is one of this package's, and
// nothing of the token can be relied on. It waits, until ctx ends or for 5 seconds, only if the keys are not at hand.
func (v *Verifier) Verify(ctx context.Context, compact string) (*Token, error) {
	token, err := v.verify(ctx, compact)
	if err != nil {
		return nil, fmt.Errorf("verify token: %w", err)
	}
	return token, nil
}

func (v *Verifier) verify(ctx context.Context, given string) (*Token, error) {
	digest := v.remembers.digest(given)
	token, err := v.recall(ctx, digest)
	if v.recalled != nil {
		v.recalled(ctx, token != nil)
	}
	if token != nil || err != nil {
		return token, err
	}
	read, err := parseCompact(given)
	if err != nil {
		return nil, err
	}
	issuer, err := v.checkTerms(&read.token)
	if err != nil {
		return nil, err
	}
	version, err := issuer.checkSignature(ctx, read)
	if err != nil {
		return nil, err
	}
	if err := v.checkClaims(issuer, &read.token); err != nil {
		return nil, err
	}
	if err := issuer.checkRevoked(ctx, &read.token); err != nil {
		return nil, err
	}
	if v.prepare != nil {
		read.token.Prepared = v.prepare(&read.token)
	}
	v.remembers.remember(digest, read, issuer, version)
	token = new(Token) // Of its own, or the compact token would stay in memory with it.
	*token = read.token
	return token, nil
}

// recall returns a token that was verified before if what it was verified with is still so, and nothing otherwise.
func (v *Verifier) recall(ctx context.Context, digest [sha256.Size]byte) (*Token, error) {
	known, found := v.remembers.lookup(digest)
	if !found {
		return nil, nil
	}
	keys, err := known.issuer.keys.current(ctx)
	if err != nil {
		return nil, err
	}
	if keys.version != known.version {
		v.remembers.forget(digest)
		return nil, nil
	}
	if err := v.checkTime(known.token); err != nil {
		v.remembers.forget(digest)
		return nil, err
	}
	// What is revoked stays remembered: it costs no signature to refuse it again.
	if err := known.issuer.checkRevoked(ctx, known.token); err != nil {
		return nil, err
	}
	return known.token.clone(), nil
}

// checkTerms judges what needs no key.
func (v *Verifier) checkTerms(token *Token) (*issuer, error) {
	found, ok := v.issuers[token.Issuer]
	switch {
	case !ok:
		return nil, ErrIssuer
	case token.Expiry.IsZero():
		return nil, fmt.Errorf("%w: claim exp is missing", ErrMalformed)
	case !slices.Contains(found.types, token.Type):
		return nil, ErrType
	case !slices.Contains(found.algorithms, token.Algorithm):
		return nil, fmt.Errorf("%w: %s is not one of the issuer's", ErrAlgorithm, token.Algorithm)
	}
	return found, nil
}

// checkSignature returns the version of the key set that it has judged by.
func (i *issuer) checkSignature(ctx context.Context, read *compact) (version, error) {
	set, err := i.keys.current(ctx)
	if err != nil {
		return version{}, err
	}
	err = set.value.check(read)
	if !errors.Is(err, ErrUnknownKey) {
		return set.version, err
	}
	if set, err = i.keys.newer(ctx, set.version); err != nil {
		return version{}, err
	}
	err = set.value.check(read)
	if errors.Is(err, ErrUnknownKey) && set.doubt != nil {
		return version{}, &unavailableError{what: ErrKeysUnavailable, cause: set.doubt}
	}
	return set.version, err
}

func (v *Verifier) checkClaims(issuer *issuer, token *Token) error {
	if !slices.ContainsFunc(token.Audience, func(one string) bool { return slices.Contains(issuer.audiences, one) }) {
		return ErrAudience
	}
	return v.checkTime(token)
}

// checkTime judges exp and nbf (RFC 7519 sections 4.1.4 and 4.1.5): at exp a token has expired, at nbf it is valid.
func (v *Verifier) checkTime(token *Token) error {
	now := v.clock()
	switch {
	case !now.Before(token.Expiry.Add(v.skew)):
		return ErrExpired
	case now.Add(v.skew).Before(token.NotBefore):
		return ErrNotYetValid
	}
	return nil
}

// checkRevoked asks the deny list, each time: a revocation counts from the moment in which it is known.
func (i *issuer) checkRevoked(ctx context.Context, token *Token) error {
	if i.denyList == nil {
		return nil
	}
	return i.denyList.deny(ctx, token)
}
