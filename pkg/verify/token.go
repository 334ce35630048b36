package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Token is what a verified token says. It does not hold the compact token, so it cannot be used in its place. Times are in
// UTC and zero when their claim is absent; texts are empty then.
type Token struct {
	KeyID     string    // kid
	Algorithm Algorithm // alg
	Type      string    // typ, see [TypeJWT]

	Issuer    string    // iss, one of the issuers of the [Verifier]
	Subject   string    // sub; the same text means somebody else with another issuer
	ID        string    // jti
	Audience  []string  // aud, one text or several
	IssuedAt  time.Time // iat; not judged
	NotBefore time.Time // nbf
	Expiry    time.Time // exp, never zero

	// ClientID is client_id (RFC 9068 section 2.2). Any other claim than a text is none.
	ClientID string
	// Scopes are the words of the claim scope (RFC 9068 section 2.2.3). Any other claim than a text gives none.
	Scopes []string
	// Claims is the payload, a JSON object in which no name occurs twice, as it was signed. Other claims are read from it
	// with [json.Unmarshal].
	Claims json.RawMessage
	// Prepared is what [Options].Prepare has made of the token; nil without it.
	Prepared any
}

// HasScope tells whether scope is one of the token's.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// Require returns [ErrScope] unless the token has all of the scopes.
func (t *Token) Require(scopes ...string) error {
	for _, scope := range scopes {
		if !t.HasScope(scope) {
			return fmt.Errorf("verify token: %w: %q is not among its %d scopes", ErrScope, scope, len(t.Scopes))
		}
	}
	return nil
}

// String names the token by issuer, subject and ID, without its other claims.
func (t *Token) String() string {
	if t == nil {
		return "[no token]"
	}
	return fmt.Sprintf("token %q of %q for %q", t.ID, t.Issuer, t.Subject)
}

// LogValue logs issuer, subject, ID, key ID and expiry, and no other claim.
func (t *Token) LogValue() slog.Value {
	if t == nil {
		return slog.StringValue(t.String())
	}
	return slog.GroupValue(slog.String("issuer", t.Issuer), slog.String("subject", t.Subject), slog.String("id", t.ID),
		slog.String("keyID", t.KeyID), slog.Time("expiry", t.Expiry))
}

// clone is for a token that is kept: whoever gets it may change it.
func (t *Token) clone() *Token {
	copied := *t
	copied.Audience, copied.Scopes, copied.Claims = slices.Clone(t.Audience), slices.Clone(t.Scopes), slices.Clone(t.Claims)
	return &copied
}

type contextKey struct{}

// NewContext returns a context that carries the token, as the middleware makes one, for tests of handlers.
func NewContext(ctx context.Context, token *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, token)
}

// FromContext returns the verified token of the request whose context this is; false where no middleware has put one.
func FromContext(ctx context.Context) (*Token, bool) {
	token, ok := ctx.Value(contextKey{}).(*Token)
	return token, ok && token != nil
}
