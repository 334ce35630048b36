package clientauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	realclock "k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/controlplane"
)

const (
	issuer   = "https://jwt.example/shop/main"
	endpoint = issuer + "/token"
	skew     = time.Minute
)

func signingKey() *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main"},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: issuer, Rotation: v1alpha1.RotationSpec{ClockSkew: &metav1.Duration{Duration: skew}},
		},
	}
}

// tokenClient is the client shop.cart of that key.
func tokenClient(authentication v1alpha1.ClientAuthentication) *v1alpha1.TokenClient {
	return &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "uid"},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef: v1alpha1.SigningKeyReference{Name: "main"}, Authentication: authentication,
		},
	}
}

func withSecret() *v1alpha1.TokenClient {
	return tokenClient(v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}})
}

func secretOf(current, previous string, expiry time.Time) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "cart-client",
			Labels:      map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTokenClient: "cart"},
			Annotations: map[string]string{v1alpha1.AnnotationRotateRequestedAt: ""},
		},
		Type: v1alpha1.SecretTypeClientSecret,
		Data: map[string][]byte{"client-secret": []byte(current)},
	}
	if previous != "" {
		s.Data["previous-client-secret"] = []byte(previous)
		s.Annotations[v1alpha1.AnnotationPreviousSecretExpiresAt] = expiry.UTC().Format(time.RFC3339)
	}
	return s
}

// world is an Authenticator, and what it works with.
type world struct {
	t     *testing.T
	c     client.WithWatch
	clock *clocktesting.FakeClock
	a     *clientauth.Authenticator
}

// begin makes an Authenticator whose API server knows these objects.
func begin(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	return beginWith(t, fake.NewClientBuilder().WithScheme(controlplane.Scheme()).WithObjects(objects...).Build(), nil)
}

// beginWith makes one that reads from a cache, or from the API server if there is none.
func beginWith(t *testing.T, c, cache client.WithWatch) *world {
	t.Helper()
	if cache == nil {
		cache = c
	}
	w := &world{t: t, c: c, clock: clocktesting.NewFakeClock(realclock.RealClock{}.Now().Truncate(time.Second))}
	w.a = clientauth.New(clientauth.Options{
		Cache: cache, Client: cache, Live: c, Clock: w.clock, Operator: spec.Operator{ExternalURL: "https://jwt.example"},
	})
	return w
}

func (w *world) attempt(attempt clientauth.Attempt) (clientauth.Proof, error) {
	return w.a.Authenticate(w.t.Context(), signingKey(), attempt)
}

// secret tries a client secret.
func (w *world) secret(id, secret string) error {
	_, err := w.attempt(clientauth.Attempt{ClientID: id, Secret: clientsecret.NewValue(secret)})
	return err
}

// assert tries an assertion.
func (w *world) assert(compact string) error {
	_, err := w.attempt(clientauth.Attempt{Assertion: jose.NewCompact(compact)})
	return err
}

// refused fails the test unless an error refuses the client, for a reason that has those words.
func refused(t *testing.T, err error, words string) {
	t.Helper()
	if !errors.Is(err, clientauth.ErrClient) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want a refusal that says %q", err, words)
	}
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	unknown, ok := errors.AsType[*clientauth.UnavailableError](err)
	if !ok || errors.Is(err, clientauth.ErrClient) || unknown.RetryAfter < time.Second {
		t.Errorf("got %v, want an UnavailableError", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// claims are those of an assertion of the client shop.cart that is right, but for the changes; nil takes a claim away.
func (w *world) claims(changes map[string]any) map[string]any {
	now := w.clock.Now().Unix()
	said := map[string]any{
		"iss": "shop.cart", "sub": "shop.cart", "aud": issuer, "exp": now + 60, "iat": now, "jti": "one",
	}
	for name, value := range changes {
		said[name] = value
		if value == nil {
			delete(said, name)
		}
	}
	return said
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	return text
}

func sign(t *testing.T, key jose.PrivateKey, typ string, claims map[string]any) string {
	t.Helper()
	compact, err := jose.Sign(key, typ, encode(t, claims))
	must(t, err)
	return compact.Reveal()
}

func generate(t *testing.T, algorithm jose.Algorithm) jose.PrivateKey {
	t.Helper()
	key, err := jose.GenerateKey(algorithm)
	must(t, err)
	return key
}

func jwks(t *testing.T, keys ...jose.PrivateKey) string {
	t.Helper()
	var public []jose.PublicKey
	for _, key := range keys {
		public = append(public, key.Public())
	}
	set, err := jose.NewKeySet(public...).JSON()
	must(t, err)
	return string(set)
}

func withKeys(jwks string) *v1alpha1.TokenClient {
	return tokenClient(v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{JWKS: jwks}})
}

// broken fails every read.
type broken struct{ client.WithWatch }

func (broken) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("connection refused")
}

func (broken) Create(context.Context, client.Object, ...client.CreateOption) error {
	return errors.New("connection refused")
}
