package clientauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/pkg/verify"
)

const (
	// longestAssertion is how far ahead the "exp" of an assertion may be: for so long it is remembered that it was used.
	longestAssertion = time.Hour
	// longestAssertionID is how many bytes its "jti" may have.
	longestAssertionID = 256
)

// Assertions remembers which assertions were used (RFC 7523 section 3, "jti").
type Assertions interface {
	// Record says whether the assertion is new, and remembers it. Of any number that record the same at once, one is told so.
	Record(ctx context.Context, assertion Assertion, now time.Time) (isNew bool, err error)
}

// Assertion is a JWT that may be used once.
type Assertion struct {
	// Audience is who took it: the URL of the issuer.
	Audience string
	// Client is who made it, the "iss".
	Client string
	// ID is the "jti".
	ID string
	// Until is from when on it is refused anyway.
	Until time.Time
}

// checkAssertion judges private_key_jwt (RFC 7523 section 3, OpenID Connect Core 1.0 section 9).
func (a *Authenticator) checkAssertion(ctx context.Context, key *v1alpha1.SigningKey, c *v1alpha1.TokenClient, sent jose.Compact) error {
	issuer, err := a.operator.Issuer(key)
	if err != nil {
		return refusef("SigningKey %s/%s: %v", key.Namespace, key.Name, err)
	}
	terms := terms{
		client: spec.ClientID(c.Namespace, c.Name), issuer: issuer, endpoint: a.operator.TokenEndpoint(key), skew: a.operator.Policy(key).Skew,
	}
	verifier, err := a.keys.of(c, terms)
	if err != nil {
		return refusef("the keys of the client cannot be used: %v", err)
	}
	said, err := verifier.Verify(ctx, sent.Reveal())
	switch {
	case errors.Is(err, verify.ErrKeysUnavailable):
		return unavailable(fetchInterval, err)
	case err != nil:
		return refusef("the assertion: %v", err)
	}
	now := a.clock.Now()
	if err := terms.judge(said, now); err != nil {
		return err
	}
	isNew, err := a.used.Record(ctx, Assertion{
		Audience: issuer, Client: terms.client, ID: said.ID, Until: said.Expiry.Add(terms.allowedSkew()),
	}, now)
	switch {
	case err != nil:
		return unavailable(0, fmt.Errorf("record the assertion: %w", err))
	case !isNew:
		return refuse("the assertion was used before: its jti must be another each time")
	default:
		return nil
	}
}

// terms are what an assertion of a client is judged by. They are comparable.
type terms struct {
	client, issuer, endpoint string
	skew                     time.Duration
}

// longestSkew is the most that a verifier takes.
const longestSkew = 5 * time.Minute

func (t terms) allowedSkew() time.Duration { return min(t.skew, longestSkew) }

// audiences are what a client may call the token endpoint: RFC 7523 section 3 has its URL, later specifications the issuer.
func (t terms) audiences() []string {
	if t.endpoint == "" {
		return []string{t.issuer}
	}
	return []string{t.issuer, t.endpoint}
}

// judge says what is wrong with an assertion whose signature, iss, exp and nbf are right, and that names us as an audience.
func (t terms) judge(said *verify.Token, now time.Time) error {
	switch {
	case said.Subject != t.client:
		return refuse("the assertion: sub must be the client_id, as iss is")
	case len(said.Audience) != 1:
		// Whoever else is named could present it here.
		return refuse("the assertion: aud must be the issuer, or its token endpoint, and nobody else")
	case said.Expiry.After(now.Add(longestAssertion + t.allowedSkew())):
		return refusef("the assertion: exp must be at most %v ahead", longestAssertion)
	case said.IssuedAt.After(now.Add(t.allowedSkew())):
		return refuse("the assertion: iat lies in the future")
	case said.ID == "" || len(said.ID) > longestAssertionID:
		return refusef("the assertion: jti must have 1 to %d bytes", longestAssertionID)
	default:
		return nil
	}
}
