package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options say which tokens a [Verifier] accepts.
type Options struct {
	// Issuers are those whose tokens are accepted, each under its own terms: at least one.
	Issuers []Issuer
	// ClockSkew is how far apart the clocks of issuers and of this program may be, 0 to 5 minutes: a token is accepted for so
	// much longer after exp and before nbf (RFC 7519 sections 4.1.4 and 4.1.5). Tokens of Keyturn need none before nbf, which
	// lies in the past for that reason.
	ClockSkew time.Duration
	// CacheSize is how many verified tokens are remembered, 0 to 1000000, so that each is not verified anew for every
	// request; each takes somewhat more memory than its claims, and what Prepare makes of it. One that is remembered is refused as soon as it expires or a
	// deny list names it, and verified anew when its issuer publishes another key set. 0 remembers none.
	CacheSize int
	// Realm is the realm in WWW-Authenticate (RFC 9110 section 11.5): printable ASCII without quotes and backslashes. Empty
	// means "api".
	Realm string
	// Refused, if set, is told of each request that the middleware refuses: for logs and metrics. The error has details that
	// the caller is not told, and no token.
	Refused func(ctx context.Context, err error)
	// Recalled, if set, is told of each token that is looked up among those that are remembered, and whether it was accepted
	// from there: for metrics.
	Recalled func(ctx context.Context, found bool)
	// Prepare, if set, makes of a token that is accepted what the program needs of it for each request, such as claims that it has
	// decoded: once for as long as the token is remembered. It is in [Token].Prepared. It must be quick, must not change the token, and
	// nobody may change what it returns, which requests share.
	Prepare func(token *Token) any
	// Clock tells the time; nil means [time.Now]. It is for tests.
	Clock func() time.Time
}

// Issuer says which tokens of one issuer are accepted.
type Issuer struct {
	// Name is the claim iss, which must be the same to the letter.
	Name string
	// Audiences are the names by which this program is known: a token must have one of them in aud (RFC 7519 section 4.1.3,
	// RFC 8725 section 3.9). At least one.
	Audiences []string
	// Keys is where the issuer's keys are.
	Keys KeySource
	// DenyList, if set, is where the issuer names the tokens that it has revoked before they expire. It is asked for every token,
	// also for one that is remembered. While it is not at hand no token is accepted, once MaxStale of its source is over.
	DenyList DenyList
	// Algorithms are the algorithms that are accepted; empty means all of [Algorithms]. With any of them a token must be
	// signed with the one its key is for. A key that does not say is for the only algorithm of its curve, or for RS256.
	Algorithms []Algorithm
	// Types are the accepted values of typ, without regard to case for those named here; "" accepts tokens without typ.
	// Empty means [TypeAccessToken], [TypeJWT] and none. A service of OAuth clients alone names TypeAccessToken alone (RFC
	// 9068 section 4): with it no token that was issued for something else can be used.
	Types []string
}

const (
	maxClockSkew = 5 * time.Minute
	maxCacheSize = 1_000_000
	defaultRealm = "api"
)

func (o Options) check() error {
	problems := []error{
		require(len(o.Issuers) > 0, "Issuers is empty"),
		require(o.ClockSkew >= 0 && o.ClockSkew <= maxClockSkew, fmt.Sprintf("ClockSkew is %v, use 0 to %v", o.ClockSkew, maxClockSkew)),
		require(o.CacheSize >= 0 && o.CacheSize <= maxCacheSize, fmt.Sprintf("CacheSize is %d, use 0 to %d", o.CacheSize, maxCacheSize)),
		require(!strings.ContainsFunc(o.Realm, notQuotable), "Realm has a character that cannot be in quotes"),
	}
	names := map[string]bool{}
	for i, issuer := range o.Issuers {
		if err := issuer.check(); err != nil {
			problems = append(problems, fmt.Errorf("field Issuers[%d]: %w", i, err))
		}
		problems = append(problems, require(!names[issuer.Name], fmt.Sprintf("Issuers[%d]: Name is that of another", i)))
		names[issuer.Name] = true
	}
	return errors.Join(problems...)
}

func (i Issuer) check() error {
	problems := []error{
		require(i.Name != "", "Name is empty"),
		require(len(i.Audiences) > 0 && !slices.Contains(i.Audiences, ""), "Audiences is empty, or has an empty one"),
		require(i.Keys != nil, "Keys is not set, use File, URL, Discovery, Func or Shared"),
	}
	for _, alg := range i.Algorithms {
		problems = append(problems, require(alg.family() != "", fmt.Sprintf("Algorithms has %q, use those of this package", alg)))
	}
	return errors.Join(problems...)
}

// notQuotable tells a character that cannot stand in a quoted string of a header as it is.
func notQuotable(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
