package tokenstore

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// ErrUnavailable says that the database did not do what was asked: it cannot be reached, is full, locked, of another version, or
// took too long. Whether a token may be used is not known then, so the answer is 503 with Retry-After and never a refusal. The
// token that was to be used is still good, unless another operation meets it.
var ErrUnavailable = errors.New("the token store is not available")

// Families keeps refresh tokens. Every operation lasts 5 seconds at most. All errors are [ErrUnavailable], or say that a stored row
// cannot be read; what the rules say is a [refresh.State].
type Families interface {
	// Create begins a family and returns its first token.
	Create(ctx context.Context, grant refresh.Grant, lifetimes refresh.Lifetimes, now time.Time) (Rotation, error)
	// Lookup says what a token is worth, and changes nothing.
	Lookup(ctx context.Context, token refresh.Token, now time.Time) (Rotation, error)
	// Use replaces a usable token by its successor, which can be used for idle. Of any number of uses of one token, by any number of
	// replicas at once, one at most is told Usable; the next one revokes the family and is told Reused, those after that Revoked.
	Use(ctx context.Context, token refresh.Token, idle time.Duration, now time.Time) (Rotation, error)
	// Revoke revokes the family of a token, be it the newest or not (RFC 7009 section 2.1). The state is the one before: a token that
	// is Unknown or Revoked changes nothing.
	Revoke(ctx context.Context, token refresh.Token, reason refresh.Reason, now time.Time) (Rotation, error)
	// RevokeAll revokes all families that are selected, and returns how many were not revoked before. After an error some may be.
	RevokeAll(ctx context.Context, selection Selection, reason refresh.Reason, now time.Time) (int, error)
}

// Rotation is what became of a token.
type Rotation struct {
	State refresh.State
	// Family is the token's family after the operation; the zero value if the state is Unknown.
	Family refresh.Family
	// Token is the first token of a family, or the successor of one that was used; otherwise no token.
	Token refresh.Token
}

// Selection says which families a TokenRevocation concerns: those of an issuer that were created before an instant and, where these
// are not empty, that are of the client and of the subject.
//
// Families are to be judged by the deny list also when they are used. But a family can outlive the entry in the list, which is kept
// for access tokens: revoke it in the store before the entry goes.
type Selection struct {
	// IssuerUID is the UID of the SigningKey.
	IssuerUID string
	ClientID  string
	Subject   string
	// CreatedBefore is compared in whole seconds, as "iat" is.
	CreatedBefore time.Time
}

// Assertions keeps which client assertions were used (RFC 7523 section 3, "jti").
type Assertions interface {
	// Record says whether the assertion is new, and remembers it. Of any number that record the same at once, one is told so.
	Record(ctx context.Context, assertion Assertion, now time.Time) (bool, error)
}

// Assertion is a JWT that may be used once. Only a hash of it is stored.
type Assertion struct {
	// Audience is who took it: the URL of the issuer.
	Audience string
	// Client is who made it, the "iss".
	Client string
	// ID is the "jti".
	ID string
	// Until is from when on it is refused anyway: its "exp" and the skew that is allowed.
	Until time.Time
}
