package tokenservice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
)

// TokenExchange grants a token for another one (RFC 8693): to a ServiceAccount for its own, and to a client that was proved otherwise
// for an access token of the same issuer that somebody has sent to it.
func (s *server) TokenExchange(ctx context.Context, r *op.ClientRequest[oidc.TokenExchangeRequest]) (*op.Response, error) {
	c, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	asks := asked(grant.TokenExchange, r.Form)
	switch data := r.Data; {
	case data.ActorToken != "" || data.ActorTokenType != "":
		return nil, refuse(http.StatusBadRequest, "there is no actor_token: the client is who acts for the subject")
	case data.RequestedTokenType != "" && data.RequestedTokenType != oidc.AccessTokenType: // A JWT would be for another server (section 3).
		return nil, refuse(http.StatusBadRequest, "requested_token_type must be urn:ietf:params:oauth:token-type:access_token")
	case data.SubjectTokenType != oidc.AccessTokenType && data.SubjectTokenType != oidc.JWTTokenType:
		return nil, refuse(http.StatusBadRequest, "subject_token_type must be urn:ietf:params:oauth:token-type:access_token or urn:ietf:params:oauth:token-type:jwt")
	case c.bySubject:
		return s.begin(ctx, c, asks, nil)
	}
	says, err := s.accept(ctx, c, r.Data.SubjectToken)
	if err != nil {
		return nil, c.failed(err)
	}
	claims, err := readClaims(says.Claims)
	if err != nil {
		return nil, c.failed(err)
	}
	asks.Before = &grant.Before{
		Subject: says.Subject, Audiences: says.Audience, Scopes: grant.ParseScope(text(claims["scope"])), Expiry: says.Expiry,
		Actor: claimOf(says.Claims, "act"),
	}
	return s.begin(ctx, c, asks, claims)
}

var (
	errExpired = errors.New("the token has expired, or is not valid yet")
	errRevoked = errors.New("the token was taken back by a TokenRevocation, or its key is revoked")
	errForeign = errors.New("the token is no access token of this issuer")
)

// accept returns what an access token of the issuer says that is good now. Otherwise the error is a *grant.Error with the cause, or
// says that nobody can know.
func (s *service) accept(ctx context.Context, c *call, compact string) (jose.Token, error) {
	bad := func(err error) (jose.Token, error) {
		return jose.Token{}, errors.Join(&grant.Error{Code: grant.InvalidGrant, Description: "the subject_token cannot be used"}, err)
	}
	issuer, err := s.Operator.Issuer(c.signingKey)
	if err != nil {
		return jose.Token{}, err
	}
	says, err := jose.Parse(compact)
	switch {
	case err != nil:
		return bad(err)
	case says.Issuer != issuer || says.Type != jose.TypeAccessToken:
		return bad(errForeign)
	case !c.now.Before(says.Expiry) || c.now.Before(says.NotBefore.Truncate(time.Second)):
		return bad(errExpired)
	}
	list, err := s.DenyLists.Of(ctx, c.key)
	if err != nil {
		return jose.Token{}, err
	}
	if _, denied := list.Denies(denylist.TokenOf(says)); denied {
		return bad(errRevoked)
	}
	ring, err := s.ringFor(ctx, c, says.KeyID)
	if err != nil {
		return jose.Token{}, err
	}
	if says, err = jose.Verify(compact, ring.Public()); err != nil {
		return bad(err)
	}
	return says, nil
}

// ringFor returns the ring that a token is judged by. The cache may not have heard of a key yet that has begun to sign at once.
func (s *service) ringFor(ctx context.Context, c *call, keyID string) (keyring.Keyring, error) {
	ring, err := s.Rings.Latest(ctx, c.signingKey)
	if err != nil {
		return keyring.Keyring{}, err
	}
	if slices.Contains(ring.IDs(), keyID) {
		return ring, nil
	}
	return s.Rings.Confirmed(ctx, c.signingKey)
}

// readClaims keeps numbers as they were written.
func readClaims(raw json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var claims map[string]any
	err := decoder.Decode(&claims)
	return claims, err
}

func text(claim any) string {
	value, _ := claim.(string)
	return value
}

func claimOf(raw json.RawMessage, name string) json.RawMessage {
	var claims map[string]json.RawMessage
	if json.Unmarshal(raw, &claims) != nil {
		return nil
	}
	return claims[name]
}
