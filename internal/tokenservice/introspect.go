package tokenservice

import (
	"context"
	"errors"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// status is what introspection tells of a token (RFC 7662 section 2.2): of one that is not good, nothing.
type status struct {
	Active    bool     `json:"active"`
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	TokenID   string   `json:"jti,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	Expiry    int64    `json:"exp,omitempty"`
	Actor     any      `json:"act,omitempty"`
}

// Introspect tells any client of the issuer of an access token, and the client that has it of a refresh token.
func (s *server) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	c, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.VerifyClient(ctx, &op.Request[op.ClientCredentials]{Form: r.Form, Data: r.Data.ClientCredentials}); err != nil {
		return nil, err
	}
	told, err := s.look(ctx, c, r.Data.Token)
	if err != nil {
		return nil, c.failed(err)
	}
	return op.NewResponse(told), nil
}

func (s *service) look(ctx context.Context, c *call, text string) (status, error) {
	told, err := s.lookAtRefresh(ctx, c, text)
	if _, malformed := refresh.Parse(text); malformed != nil {
		told, err = s.lookAtAccess(ctx, c, text)
	}
	if _, refused := errors.AsType[*grant.Error](err); refused {
		c.reason = err
		return status{}, nil
	}
	return told, err
}

func (s *service) lookAtAccess(ctx context.Context, c *call, compact string) (status, error) {
	says, err := s.accept(ctx, c, compact)
	if err != nil {
		return status{}, err
	}
	claims, err := readClaims(says.Claims)
	if err != nil {
		return status{}, err
	}
	c.subject, c.tokenID, c.keyID = says.Subject, says.ID, says.KeyID
	return status{
		Active: true, Issuer: says.Issuer, Subject: says.Subject, Audience: says.Audience, TokenID: says.ID, TokenType: oidc.BearerToken,
		ClientID: text(claims["client_id"]), Scope: text(claims["scope"]), Actor: claims["act"],
		IssuedAt: says.IssuedAt.Unix(), NotBefore: says.NotBefore.Unix(), Expiry: says.Expiry.Unix(),
	}, nil
}

func (s *service) lookAtRefresh(ctx context.Context, c *call, text string) (status, error) {
	token, family, err := s.find(ctx, c, text)
	if err != nil {
		return status{}, err
	}
	if state := family.Judge(token, c.now); state != refresh.Usable {
		return status{}, badGrant(string(state))
	}
	if err := s.notTakenBack(ctx, c, family); err != nil {
		return status{}, err
	}
	issuer, err := s.Operator.Issuer(c.signingKey)
	if err != nil {
		return status{}, err
	}
	c.subject = family.Subject
	return status{
		Active: true, Issuer: issuer, Subject: family.Subject, ClientID: family.ClientID,
		IssuedAt: family.Newest.IssuedAt.Unix(), Expiry: family.Newest.ExpiresAt.Unix(),
	}, nil
}
