package verify

import (
	"context"
	"time"
)

const (
	maxDenyListBytes = 8 << 20 // of a URL; a ConfigMap has less than one
	defaultDenyCache = time.Minute
)

// DenyList says where the tokens are named that an issuer has revoked before they expire: [File] or [URL] of revocations.json, which
// Keyturn publishes for each SigningKey, or [DenyFunc].
type DenyList interface {
	// openDenyList checks the source for an issuer and makes what judges by it.
	openDenyList(issuer string, clock func() time.Time) (denier, error)
}

// denier judges tokens that are acceptable otherwise.
type denier interface {
	// deny returns ErrRevoked, or ErrDenyListUnavailable, unless a token may pass.
	deny(ctx context.Context, token *Token) error
}

// DenyFunc is a deny list of the program itself. It is asked for each token that is acceptable otherwise, also for one that is
// remembered, so it must be quick and safe for concurrent use, and it must not change the token. An error means that nobody can
// know now: the token is not accepted.
type DenyFunc func(ctx context.Context, token *Token) (revoked bool, err error)

func (f DenyFunc) openDenyList(string, func() time.Time) (denier, error) {
	return f, require(f != nil, "DenyFunc is nil")
}

func (f DenyFunc) deny(ctx context.Context, token *Token) error {
	revoked, err := f(ctx, token)
	switch {
	case err != nil:
		return &unavailableError{what: ErrDenyListUnavailable, cause: err}
	case revoked:
		return ErrRevoked
	}
	return nil
}

func (f File) openDenyList(issuer string, clock func() time.Time) (denier, error) {
	load, timing, err := f.loader(maxDenyListBytes)
	return newDenier(issuer, load, timing, clock), err
}

func (u URL) openDenyList(issuer string, clock func() time.Time) (denier, error) {
	if u.CacheDuration == 0 {
		u.CacheDuration = defaultDenyCache
	}
	load, timing, err := u.loader(maxDenyListBytes)
	return newDenier(issuer, load, timing, clock), err
}

func newDenier(issuer string, load loader, timing timing, clock func() time.Time) denier {
	parse := func(data []byte) (denyList, error) { return parseDenyList(data, issuer) }
	return published{&keeper[denyList]{load: load, parse: parse, timing: timing, clock: clock, absent: ErrDenyListUnavailable}}
}

// published is a deny list in a document.
type published struct{ source[denyList] }

func (p published) deny(ctx context.Context, token *Token) error {
	list, err := p.current(ctx)
	if err != nil {
		return err
	}
	if list.value.denies(token) {
		return ErrRevoked
	}
	return nil
}
