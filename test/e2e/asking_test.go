package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/e2e/party"
)

// The key of those who ask for tokens. While the API server is away the gate goes on for as long as verifiers may cache.
const (
	askedPeriod = 75 * time.Second
	askedKeep   = time.Minute
)

// The ServiceAccount that may ask, and what its tokens are good for.
const (
	asks    = "asks"
	reading = "orders:read"
)

// asking is what it takes that Pods ask for tokens with nothing but their ServiceAccount's, and are let in: a key, a client, a policy.
type asking struct {
	key    *v1alpha1.SigningKey
	client *v1alpha1.TokenClient
	policy *v1alpha1.TokenPolicy
}

// newAsking makes it all in a namespace.
func (c *cluster) newAsking(t *testing.T, namespace string) *asking {
	t.Helper()
	a := &asking{key: newKey(namespace, "api", ""), policy: newPolicy(namespace, "reading", reading)}
	a.key.Spec.Rotation.Period, a.key.Spec.Rotation.VerifierCacheDuration = seconds(askedPeriod), seconds(askedKeep)
	a.client = &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pods"},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef: v1alpha1.SigningKeyReference{Name: a.key.Name},
			Authentication: v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{
				Names: []v1alpha1.ServiceAccountName{asks},
			}},
			GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantTokenExchange},
			Audiences:  []v1alpha1.Audience{audience}, Scopes: []v1alpha1.Scope{reading},
			Claims: []v1alpha1.ClaimExpression{
				{Name: "pod", Expression: "serviceAccount.podName"},
				{Name: "tier", Expression: `serviceAccount.labels["example.com/tier"]`},
			},
			AccessTokenDuration: seconds(longestToken),
		},
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: asks, Labels: map[string]string{"example.com/tier": "gold"}}}
	c.create(t, a.key, account, a.client, a.policy)
	c.awaitReady(t, a.key, a.client, a.policy)
	return a
}

// newPolicy accepts tokens of the key api that have a scope.
func newPolicy(namespace, name string, scope v1alpha1.Scope) *v1alpha1.TokenPolicy {
	return &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TokenPolicySpec{
			Issuers:   []v1alpha1.PolicyIssuer{{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: "api"}}},
			Audiences: []v1alpha1.Audience{audience}, Scopes: []v1alpha1.Scope{scope},
			Headers: []v1alpha1.ClaimHeader{{Name: "X-Subject", Claim: "sub"}, {Name: "X-Pod", Claim: "pod"}, {Name: "X-Tier", Claim: "tier"}},
		},
	}
}

func (a *asking) issuer() string { return issuerOf(a.key) }

// issuerOf is the issuer of a key that leaves that to the operator.
func issuerOf(key *v1alpha1.SigningKey) string {
	return externalURL + "/" + key.Namespace + "/" + key.Name
}

// newPod is a Pod of a ServiceAccount that asks for tokens every so often, or when it is told to.
func (a *asking) newPod(account string, more ...string) *corev1.Pod {
	arguments := append([]string{"ask", "-endpoint=" + a.issuer() + "/token", "-gate=" + gateOf(a.policy), "-ca=/run/ca/ca.crt"}, more...)
	pod := newPod(a.key.Namespace, "pod-of-"+account, arguments, mountConfigMap("/run/ca", authority), mount{
		path: "/run/token", source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: a.issuer(), Path: "token"}},
		}}},
	})
	pod.Spec.ServiceAccountName = account
	return pod
}

func gateOf(policy *v1alpha1.TokenPolicy) string {
	return externalURL + "/verify/" + policy.Namespace + "/" + policy.Name
}

// answered has a Pod of the role ask do something, and returns what it was answered.
func (c *cluster) answered(t *testing.T, pod *corev1.Pod, what string, parameters url.Values) party.Answer {
	t.Helper()
	text, err := c.ask(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/"+what+"?"+parameters.Encode())
	must(t, err)
	var answer party.Answer
	must(t, json.Unmarshal(text, &answer))
	return answer
}

// client is that of somebody outside of any Pod who trusts the published CA, and nobody else, and makes a new connection for each request.
func (c *cluster) client(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(get(t, c, operatorNamespace, authority, &corev1.ConfigMap{}).Data["ca.crt"])) {
		t.Fatal("the published CA is no certificate")
	}
	address := get(t, c, operatorNamespace, operatorName, &corev1.Service{}).Spec.ClusterIP
	host := strings.TrimPrefix(externalURL, "https://")
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}}
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, net.JoinHostPort(address, "443"))
		},
	}}
}

// grantedTo is an answer of a token endpoint (RFC 6749, section 5).
type grantedTo struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`
}

// newTill is a client that proves itself by a secret.
func newTill(key *v1alpha1.SigningKey) *v1alpha1.TokenClient {
	return &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "till"},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:       v1alpha1.SigningKeyReference{Name: key.Name},
			Authentication:      v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{OverlapDuration: seconds(time.Hour)}},
			Audiences:           []v1alpha1.Audience{audience},
			AccessTokenDuration: seconds(longestToken),
		},
	}
}

// withSecret is a request by client_secret_post (RFC 6749, section 2.3.1).
func withSecret(secret *corev1.Secret, grantType string) url.Values {
	return url.Values{
		"grant_type": {grantType},
		"client_id":  {string(secret.Data[v1alpha1.SecretKeyClientID])}, "client_secret": {string(secret.Data[v1alpha1.SecretKeyClientSecret])},
	}
}

// mustBeGranted asks for a token until there is one: replicas learn of a new client, or of a new secret, one after another.
func (c *cluster) mustBeGranted(t *testing.T, issuer string, form url.Values) grantedTo {
	t.Helper()
	var answer grantedTo
	eventually(t, "a token is granted", func() (err error) {
		answer, err = c.grant(t, issuer, form)
		if err == nil && answer.Error != "" {
			err = errors.New(answer.Error)
		}
		return err
	})
	return answer
}

// grant asks the token endpoint of an issuer, and notes what must not be told.
func (c *cluster) grant(t *testing.T, issuer string, form url.Values) (grantedTo, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.client(t).Do(request)
	if err != nil {
		return grantedTo{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer grantedTo
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return grantedTo{}, fmt.Errorf("read an answer with %s: %w", response.Status, err)
	}
	if answer.AccessToken == "" && answer.Error == "" {
		return grantedTo{}, fmt.Errorf("%s without a token and without a reason", response.Status)
	}
	c.secrets.Token(answer.AccessToken)
	c.secrets.RefreshToken(answer.RefreshToken)
	return answer, nil
}
