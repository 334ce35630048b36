package tokenservice

import (
	"context"
	"errors"
	"fmt"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/spec"
)

// start begins a family of refresh tokens, or returns none: a client without any asks again as it did the first time, which is
// better than not to be served while the store is away.
func (s *service) start(ctx context.Context, c *call, terms grant.Terms) refresh.Token {
	t := c.proof.Client
	if s.Families == nil || !spec.Grants(t, v1alpha1.GrantRefreshToken) {
		return refresh.Token{}
	}
	granted := refresh.Grant{
		Issuer: object(c.signingKey), Client: object(t), ClientID: c.clientID, Subject: terms.Subject,
		Audiences: terms.Audiences, Scopes: terms.Scopes, ServiceAccount: c.account(),
	}
	idle, absolute := spec.RefreshDurations(t)
	began, err := s.Families.Create(ctx, granted, refresh.Lifetimes{Idle: idle, Absolute: absolute}, c.now)
	if err != nil {
		c.reason = fmt.Errorf("no refresh token is issued: %w", err)
		refreshTokensMissing.Inc()
		return refresh.Token{}
	}
	return began.Token
}

func object(o metav1.Object) refresh.Object {
	return refresh.Object{Namespace: o.GetNamespace(), Name: o.GetName(), UID: string(o.GetUID())}
}

// account is the ServiceAccount that the client is, if it is one.
func (c *call) account() *refresh.Object {
	if c.proof.Account == nil {
		return nil
	}
	return &refresh.Object{Namespace: c.proof.Account.Namespace, Name: c.proof.Account.Name, UID: string(c.proof.Account.UID)}
}

// RefreshToken replaces a refresh token, once (RFC 6749 section 6).
func (s *server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	c, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	done, err := s.replace(ctx, c, r.Data.RefreshToken, asked(grant.RefreshToken, r.Form))
	if err != nil {
		return nil, c.failed(err)
	}
	return done.response(grant.RefreshToken), nil
}

// replace keeps to the order that the store asks for: the access token is signed before the refresh token is used, so that a failure
// costs the client nothing.
func (s *service) replace(ctx context.Context, c *call, text string, asks grant.Asked) (*issued, error) {
	token, family, err := s.usable(ctx, c, text)
	if err != nil {
		return nil, err
	}
	asks.Before = &grant.Before{Subject: family.Subject, Audiences: family.Audiences, Scopes: family.Scopes}
	terms, err := grant.Decide(c.client(), asks, c.now)
	if err != nil {
		return nil, err
	}
	signed, err := s.issue(ctx, c, terms, nil)
	if err != nil {
		return nil, err
	}
	if signed.refresh, err = s.use(ctx, c, token); err != nil {
		return nil, err
	}
	return signed, nil
}

// usable returns a refresh token of this client's that can be used, and what it was granted.
func (s *service) usable(ctx context.Context, c *call, text string) (refresh.Token, refresh.Family, error) {
	token, family, err := s.find(ctx, c, text)
	if err != nil {
		return token, family, err
	}
	switch state := family.Judge(token, c.now); state {
	case refresh.Usable:
	case refresh.Reused:
		_, err := s.use(ctx, c, token) // This is what revokes the family.
		return token, family, err
	default:
		return token, family, badGrant(string(state))
	}
	return token, family, s.notTakenBack(ctx, c, family)
}

// notTakenBack judges a grant by the deny list, which knows of a TokenRevocation before the store does.
func (s *service) notTakenBack(ctx context.Context, c *call, family refresh.Family) error {
	list, err := s.DenyLists.Of(ctx, c.key)
	if err != nil {
		return err
	}
	told := denylist.Token{Subject: family.Subject, ClientID: family.ClientID, IssuedAt: family.CreatedAt}
	if _, denied := list.Denies(told); denied {
		return badGrant("taken back by a TokenRevocation")
	}
	return nil
}

// find returns the family of a refresh token of this client. To others it is as unknown as any.
func (s *service) find(ctx context.Context, c *call, text string) (refresh.Token, refresh.Family, error) {
	token, err := refresh.Parse(text)
	if err != nil {
		return token, refresh.Family{}, badGrant(err.Error())
	}
	if s.Families == nil {
		return token, refresh.Family{}, badGrant("the operator has no token store")
	}
	found, err := s.Families.Lookup(ctx, token, c.now)
	if err != nil {
		return token, refresh.Family{}, err
	}
	switch {
	case found.State == refresh.Unknown:
		return token, refresh.Family{}, badGrant("unknown")
	case !c.has(found.Family):
		return token, refresh.Family{}, badGrant("of another client, ServiceAccount or issuer")
	default:
		return token, found.Family, nil
	}
}

// has says whether a family is of the client, the ServiceAccount and the issuer of a call, and not of others with the same names.
func (c *call) has(family refresh.Family) bool {
	was, is := family.ServiceAccount, c.account()
	same := was == nil && is == nil || was != nil && is != nil && *was == *is
	// No grant that is refreshed is for anybody else. Whoever can write into the database must not get a token for another by that.
	same = same && family.Subject == c.client().Subject
	return same && family.Issuer.UID == string(c.signingKey.UID) && family.Client.UID == string(c.proof.Client.UID)
}

// use replaces a token by its successor. A second use revokes all that came of the same grant.
func (s *service) use(ctx context.Context, c *call, token refresh.Token) (refresh.Token, error) {
	idle, _ := spec.RefreshDurations(c.proof.Client)
	used, err := s.Families.Use(ctx, token, idle, c.now)
	if err != nil {
		return refresh.Token{}, err
	}
	if used.State == refresh.Reused {
		refreshTokensReused.Inc()
		s.Recorder.Eventf(c.proof.Client, nil, corev1.EventTypeWarning, v1alpha1.ReasonRefreshTokenReused, "Refresh",
			"A refresh token for %s was used a second time: somebody else may have it. It and all that came of the same grant, of %s, are revoked",
			used.Family.Subject, used.Family.CreatedAt.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if used.State != refresh.Usable {
		return refresh.Token{}, badGrant(string(used.State))
	}
	return used.Token, nil
}

// badGrant tells the client no more than that. Why is for the log.
func badGrant(why string) error {
	return errors.Join(&grant.Error{Code: grant.InvalidGrant, Description: "the refresh token cannot be used: ask for a new grant"}, errors.New(why))
}

// revokeFamily does what the client asks for also where there is nothing to do (RFC 7009 section 2.2).
func (s *service) revokeFamily(ctx context.Context, c *call, text string) error {
	token, _, err := s.find(ctx, c, text)
	if _, refused := errors.AsType[*grant.Error](err); refused {
		c.reason = err
		return nil
	}
	if err == nil {
		_, err = s.Families.Revoke(ctx, token, refresh.ReasonClient, c.now)
	}
	if err != nil {
		return c.failed(err)
	}
	return nil
}
