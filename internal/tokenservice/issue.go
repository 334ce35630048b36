package tokenservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/internal/clientclaims"
	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/spec"
)

// issued is what a client gets.
type issued struct {
	access  jose.Compact
	refresh refresh.Token
	scopes  []string
	life    time.Duration
}

// response is RFC 6749 section 5.1 or, for an exchange, RFC 8693 section 2.2.1.
func (i *issued) response(kind grant.Type) *op.Response {
	seconds := uint64(max(0, i.life/time.Second))
	if kind == grant.TokenExchange {
		return op.NewResponse(&oidc.TokenExchangeResponse{
			AccessToken: i.access.Reveal(), IssuedTokenType: oidc.AccessTokenType, TokenType: oidc.BearerToken,
			ExpiresIn: seconds, Scopes: i.scopes, RefreshToken: i.refresh.Reveal(),
		})
	}
	return op.NewResponse(&oidc.AccessTokenResponse{
		AccessToken: i.access.Reveal(), TokenType: oidc.BearerToken, ExpiresIn: seconds, Scope: i.scopes, RefreshToken: i.refresh.Reveal(),
	})
}

// issue signs an access token (RFC 9068), if the policy of the SigningKey allows it.
func (s *service) issue(ctx context.Context, c *call, terms grant.Terms, subjectClaims map[string]any) (*issued, error) {
	request, err := s.request(c, terms, subjectClaims)
	if err != nil {
		return nil, err
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	name := client.ObjectKey{Name: c.proof.Client.Namespace}
	if err := s.Reader.Get(ctx, name, namespace, client.UnsafeDisableDeepCopy); err != nil { // Nobody changes it.
		return nil, fmt.Errorf("read namespace: %w", err)
	}
	refused := s.Permit.CheckIssue(c.signingKey, permit.Issue{
		Namespace: spec.Namespace{Name: namespace.Name, Labels: namespace.Labels}, Request: request, Vouched: terms.Delegated,
	}, c.now)
	if len(refused) > 0 {
		return nil, &grant.Error{Code: grant.UnauthorizedClient, Description: refused[0].Error()}
	}
	return s.sign(ctx, c, request, terms.Scopes)
}

// request is the token that the terms ask for.
func (s *service) request(c *call, terms grant.Terms, subjectClaims map[string]any) (token.Request, error) {
	issuer, err := s.Operator.Issuer(c.signingKey)
	if err != nil {
		return token.Request{}, err
	}
	claims, err := s.claims(c, terms, subjectClaims)
	if err != nil {
		return token.Request{}, &grant.Error{Code: grant.UnauthorizedClient, Description: err.Error()}
	}
	claims["client_id"] = c.clientID
	if len(terms.Scopes) > 0 {
		claims["scope"] = strings.Join(terms.Scopes, " ")
	}
	if terms.Actor != nil {
		var actor map[string]any
		if err := json.Unmarshal(terms.Actor, &actor); err != nil {
			return token.Request{}, fmt.Errorf("read act: %w", err)
		}
		claims["act"] = actor
	}
	return token.Request{
		Issuer: issuer, Subject: terms.Subject, Audiences: terms.Audiences, Type: token.TypeAccessToken,
		Claims: claims, Duration: terms.Duration, Skew: s.Operator.Policy(c.signingKey).Skew,
	}, nil
}

// claims are those of the TokenClient's expressions.
func (s *service) claims(c *call, terms grant.Terms, subjectClaims map[string]any) (map[string]any, error) {
	compiled, err := s.Permit.Claims(c.proof.Client)
	if err != nil {
		return nil, err
	}
	t := c.proof.Client
	input := clientclaims.Input{
		Client: clientclaims.Client{ID: c.clientID, Namespace: t.Namespace, Name: t.Name, Labels: t.Labels},
		Request: clientclaims.Request{
			GrantType: grantTypeOf(grant.Type(c.grantType)), Audiences: terms.Audiences, Scopes: terms.Scopes, SubjectClaims: subjectClaims,
		},
	}
	if a := c.proof.Account; a != nil {
		input.ServiceAccount = &clientclaims.ServiceAccount{
			Namespace: a.Namespace, Name: a.Name, Labels: a.Labels, PodName: a.PodName, PodUID: a.PodUID,
		}
	}
	made, err := compiled.Evaluate(input)
	if made == nil {
		made = map[string]any{}
	}
	return made, err
}

var errRingFollows = errors.New("the ring does not follow the spec yet")

// sign does so with a ring that the API server has confirmed a short while ago (invariant 9), and never what a TokenRevocation takes
// back in the same moment.
func (s *service) sign(ctx context.Context, c *call, request token.Request, scopes []string) (*issued, error) {
	ring, err := s.Rings.Fresh(ctx, c.signingKey)
	if err != nil {
		return nil, err
	}
	list, err := s.DenyLists.Of(ctx, c.key)
	if err != nil {
		return nil, err
	}
	keys := token.Keys{Ring: ring.Ring(), Revoked: spec.RevokedKeyIDs(c.signingKey), Denied: list}
	terms, err := token.Lawful(request, keys, c.now)
	if err != nil && c.signingKey.Status.ObservedGeneration < c.signingKey.Generation {
		return nil, errRingFollows
	}
	if err != nil {
		return nil, err
	}
	id := string(uuid.NewUUID())
	payload, err := token.Encode(request.Payload(id, terms.IssuedAt))
	if err != nil {
		return nil, err
	}
	signer, _ := ring.Signer()
	compact, err := jose.Sign(signer, request.Type, payload)
	if err != nil {
		return nil, err
	}
	c.subject, c.tokenID, c.keyID = request.Subject, id, terms.KeyID
	return &issued{access: compact, scopes: scopes, life: terms.Expiry.Sub(terms.IssuedAt)}, nil
}
