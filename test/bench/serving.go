package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
)

const (
	clientName = "cart"
	// computingName is a client whose tokens have a claim by an expression.
	computingName = "cart-with-claims"
	policyName    = "api"
	rulesName     = "api-with-rules"
	audience      = "https://api.example"
)

// served is an operator that serves, with a SigningKey, a TokenClient and a TokenPolicy, and what it is compared with.
type served struct {
	*World

	operator  *Operator
	yardstick *yardstick
	signer    jose.PrivateKey
	issuer    string
	basic     map[string]string // the Authorization header of each client
}

// unbounded lets one client ask as often as it can.
func unbounded() []string {
	return []string{"--token-endpoint-address-qps=0", "--token-endpoint-client-qps=0"}
}

// serve starts what is measured and what it is compared with. The returned function stops both.
func (w *World) serve(ctx context.Context) (*served, func() error, error) {
	s := &served{World: w}
	stop := func() error {
		var errs []error
		if s.operator != nil {
			errs = append(errs, s.operator.Stop(ctx))
		}
		if s.yardstick != nil {
			errs = append(errs, s.yardstick.stop(ctx))
		}
		return errors.Join(errs...)
	}
	err := s.start(ctx)
	if err != nil {
		err = errors.Join(err, stop())
	}
	return s, stop, err
}

func (s *served) start(ctx context.Context) error {
	var err error
	if s.operator, err = s.StartOperator(ctx, unbounded()...); err != nil {
		return err
	}
	if err := s.declare(ctx); err != nil {
		return err
	}
	if err := s.readKey(ctx); err != nil {
		return err
	}
	set, err := jose.NewKeySet(s.signer.Public()).JSON()
	if err != nil {
		return err
	}
	s.yardstick, err = s.startYardstick(ctx, set)
	return err
}

// declare applies the objects and waits until each is Ready.
func (s *served) declare(ctx context.Context) error {
	key := newKey(ours)
	key.Spec.Issuer = "" // The operator's own URL, under which it has endpoints.
	key.Spec.Tokens.MaxDuration = &metav1.Duration{Duration: longLife}
	asks := &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: clientName, Labels: map[string]string{"team": "blue"}},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:  v1alpha1.SigningKeyReference{Name: keyName},
			Authentication: v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}},
			GrantTypes:     []v1alpha1.GrantType{v1alpha1.GrantClientCredentials},
			Audiences:      []v1alpha1.Audience{audience}, Scopes: []v1alpha1.Scope{"orders:read"},
		},
	}
	computes := asks.DeepCopy()
	computes.Name = computingName
	computes.Spec.Claims = []v1alpha1.ClaimExpression{{Name: "team", Expression: `client.labels["team"]`}}
	policy := &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: policyName},
		Spec: v1alpha1.TokenPolicySpec{
			Issuers:   []v1alpha1.PolicyIssuer{{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: keyName}}},
			Audiences: []v1alpha1.Audience{audience}, Scopes: []v1alpha1.Scope{"orders:read"},
		},
	}
	rules := policy.DeepCopy()
	rules.Name = rulesName
	rules.Spec.Rules = []v1alpha1.RequestRule{{Expression: `request.method == "GET" || "orders:write" in claims.scope.split(" ")`}}
	rules.Spec.Headers = []v1alpha1.ClaimHeader{{Name: "X-User", Claim: "sub"}, {Name: "X-Team", Claim: "team"}}
	if err := s.Plane.Client.Create(ctx, newNamespace(ours, nil)); err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	for _, object := range []client.Object{key, asks, computes, policy, rules} {
		if err := s.Plane.eventually(ctx, func(ctx context.Context) error {
			return client.IgnoreAlreadyExists(s.Plane.Client.Create(ctx, object))
		}); err != nil {
			return fmt.Errorf("create %T: %w", object, err)
		}
		if err := s.Plane.eventually(ctx, func(ctx context.Context) error { return s.isReady(ctx, object) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *served) isReady(ctx context.Context, object client.Object) error {
	if err := s.Plane.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return fmt.Errorf("read %T: %w", object, err)
	}
	var conditions []metav1.Condition
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		conditions, s.issuer = object.Status.Conditions, object.Status.Issuer
	case *v1alpha1.TokenClient:
		conditions = object.Status.Conditions
	case *v1alpha1.TokenPolicy:
		conditions = object.Status.Conditions
	}
	if !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		return fmt.Errorf("%T is not Ready", object)
	}
	return nil
}

// readKey reads what the clients prove themselves with, and the key that signs, with which many tokens are made at once.
func (s *served) readKey(ctx context.Context) error {
	var secret corev1.Secret
	if err := s.Plane.Client.Get(ctx, client.ObjectKey{Namespace: ours, Name: keyName + "-signing-key"}, &secret); err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	signer, err := jose.ParsePrivateKey(secret.Data["signing-key.jwk"])
	if err != nil {
		return err
	}
	s.signer, s.basic = signer, map[string]string{}
	for _, name := range []string{clientName, computingName} {
		if err := s.Plane.Client.Get(ctx, client.ObjectKey{Namespace: ours, Name: name + "-client"}, &secret); err != nil {
			return fmt.Errorf("read client secret: %w", err)
		}
		pair := url.QueryEscape(ours+"."+name) + ":" + url.QueryEscape(string(secret.Data[v1alpha1.SecretKeyClientSecret]))
		s.basic[name] = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	return nil
}

// load is a load for the operator.
func (s *served) load(name string, requests ...[]byte) *load {
	address := strings.TrimPrefix(s.Plane.cluster.Operator.HTTPS, "https://")
	return &load{name: name, address: address, requests: requests, pid: s.operator.identity.PID}
}

// tokens are as many access tokens of the client, signed here.
func (s *served) tokens(n int) ([]string, error) {
	now := s.Clock.Now()
	made := make([]string, 0, n)
	for i := range n {
		claims, err := json.Marshal(map[string]any{
			"iss": s.issuer, "sub": "system:tokenclient:" + ours + ":" + clientName, "client_id": ours + "." + clientName, "aud": audience,
			"scope": "orders:read", "team": "blue", "jti": fmt.Sprintf("0e3c1b52-6f5a-4f0e-9d5b-%012d", i),
			"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(longLife).Unix(),
		})
		if err != nil {
			return nil, err
		}
		compact, err := jose.Sign(s.signer, jose.TypeAccessToken, claims)
		if err != nil {
			return nil, err
		}
		made = append(made, compact.Reveal())
	}
	return made, nil
}
