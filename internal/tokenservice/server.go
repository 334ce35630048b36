package tokenservice

import (
	"context"
	"errors"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

// service is what the endpoints share.
type service struct {
	Options
	limits *limits
}

// server is what the library calls once it has read a request. What it does not implement does not exist.
type server struct {
	op.UnimplementedServer
	*service
}

// VerifyClient proves who asks.
func (s *server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	c, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	attempt := clientauth.Attempt{
		ClientID: r.Data.ClientID, Secret: clientsecret.NewValue(r.Data.ClientSecret), Assertion: jose.NewCompact(r.Data.ClientAssertion),
	}
	subject := provesBySubject(c, r)
	if subject {
		attempt.Assertion = jose.NewCompact(r.Form.Get("subject_token"))
	}
	proof, err := s.Clients.Authenticate(ctx, c.signingKey, attempt)
	if err == nil && subject && proof.Method != clientauth.ServiceAccount {
		err = errNoProof
	}
	if err != nil {
		return nil, c.failed(err)
	}
	c.proof, c.bySubject = proof, subject
	c.clientID = spec.ClientID(proof.Client.Namespace, proof.Client.Name)
	if wait, ok := s.limits.client(c.clientID, c.now); !ok {
		return nil, c.tooMany(wait)
	}
	return proved{id: c.clientID, grants: grantsOf(proof.Client)}, nil
}

// provesBySubject says whether the subject_token of an exchange is all that a client proves itself by: that of a ServiceAccount is
// enough, and whoever sends it as the assertion too says nothing else.
func provesBySubject(c *call, r *op.Request[op.ClientCredentials]) bool {
	sent := r.Data.ClientAssertion
	return c.grantType == string(grant.TokenExchange) && r.Data.ClientSecret == "" && (sent == "" || sent == r.Form.Get("subject_token"))
}

var errNoProof = errors.Join(clientauth.ErrClient, errors.New("the subject_token proves no client that is not a ServiceAccount"))

// proved is a client to the library, which asks it for no more.
type proved struct {
	op.Client
	id     string
	grants []grant.Type
}

func (p proved) GetID() string { return p.id }

// AuthMethod is any but none: the client was proved.
func (p proved) AuthMethod() oidc.AuthMethod { return oidc.AuthMethodBasic }

func (p proved) GrantTypes() []oidc.GrantType {
	var types []oidc.GrantType
	for _, one := range p.grants {
		types = append(types, oidc.GrantType(one))
	}
	return types
}

func grantsOf(c *v1alpha1.TokenClient) []grant.Type {
	var types []grant.Type
	for _, kind := range []grant.Type{grant.ClientCredentials, grant.RefreshToken, grant.TokenExchange} {
		if spec.Grants(c, grantTypeOf(kind)) {
			types = append(types, kind)
		}
	}
	return types
}

// grantTypeOf is how the API calls a grant type; nothing for one that there is not.
func grantTypeOf(kind grant.Type) v1alpha1.GrantType {
	switch kind {
	case grant.ClientCredentials:
		return v1alpha1.GrantClientCredentials
	case grant.RefreshToken:
		return v1alpha1.GrantRefreshToken
	case grant.TokenExchange:
		return v1alpha1.GrantTokenExchange
	default:
		return ""
	}
}

// ClientCredentialsExchange grants a token to a client that asks for itself (RFC 6749 section 4.4).
func (s *server) ClientCredentialsExchange(
	ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest],
) (*op.Response, error) {
	c, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	return s.begin(ctx, c, asked(grant.ClientCredentials, r.Form), nil)
}

// begin grants what rests upon no refresh token, and a first one with it where the client may have any.
func (s *service) begin(ctx context.Context, c *call, asks grant.Asked, subjectClaims map[string]any) (*op.Response, error) {
	terms, err := grant.Decide(c.client(), asks, c.now)
	if err != nil {
		return nil, c.failed(err)
	}
	issued, err := s.issue(ctx, c, terms, subjectClaims)
	if err != nil {
		return nil, c.failed(err)
	}
	if asks.Before == nil { // What rests upon another token must not outlive it.
		issued.refresh = s.start(ctx, c, terms)
	}
	return issued.response(asks.Type), nil
}

// client is what the TokenClient may ask for.
func (c *call) client() grant.Client {
	t := c.proof.Client
	granted := grant.Client{
		ID: c.clientID, Subject: spec.ClientSubject(t.Namespace, t.Name), Grants: grantsOf(t), Duration: spec.AccessTokenDuration(t),
	}
	if account := c.proof.Account; account != nil {
		granted.Subject = spec.ServiceAccountSubject(account.Namespace, account.Name)
	}
	for _, one := range t.Spec.Audiences {
		granted.Audiences = append(granted.Audiences, string(one))
	}
	for _, one := range t.Spec.Scopes {
		granted.Scopes = append(granted.Scopes, string(one))
	}
	return granted
}

// asked reads what a request asks for. An audience and a resource are the same to Keyturn: names of who the token is for.
func asked(kind grant.Type, form map[string][]string) grant.Asked {
	asks := grant.Asked{Type: kind}
	asks.Audiences = append(append(asks.Audiences, form["audience"]...), form["resource"]...)
	for _, scope := range form["scope"] {
		asks.Scopes = append(asks.Scopes, grant.ParseScope(scope)...)
	}
	return asks
}

// Revocation revokes a refresh token, and with it all that came of the same grant (RFC 7009 section 2.1).
func (s *server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	c, err := callOf(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.revoke(ctx, c, r.Data.Token); err != nil {
		return nil, err
	}
	return op.NewResponse(nil), nil
}

func (s *service) revoke(ctx context.Context, c *call, text string) error {
	if _, err := jose.Parse(text); err == nil {
		c.reason = errors.New("an access token")
		e := oidc.ErrInvalidRequest().WithDescription("an access token is verified without asking this server, " +
			"so it is revoked by a TokenRevocation of the cluster and not here")
		e.ErrorType = "unsupported_token_type" // RFC 7009 section 2.2.1
		return op.NewStatusError(e, http.StatusBadRequest)
	}
	return s.revokeFamily(ctx, c, text)
}
