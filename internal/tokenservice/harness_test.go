package tokenservice_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/internal/tokenservice"
	"github.com/keyturn/keyturn/internal/tokenstore"
	"github.com/keyturn/keyturn/test/controlplane"
)

const (
	external = "https://tokens.example"
	issuer   = external + "/bank/main"
	audience = "https://api.example"
	secret   = "kts_0123456789012345678901234567890123456789012"
	clientID = "shop.cart"
)

func start() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC) }

// service is a Handler before a cluster of one SigningKey, bank/main, which namespace shop may use.
type service struct {
	t       testing.TB
	api     client.WithWatch
	clock   *clocktesting.FakeClock
	lists   *denylist.Lists
	events  *events.FakeRecorder
	handler http.Handler
	key     *v1alpha1.SigningKey
	ring    keyring.Keyring
	options tokenservice.Options
	store   *switched
	// age is how old the view of the cluster is.
	age time.Duration
	// behind is the ring's Secret as the cache still has it, if it lags.
	behind *corev1.Secret
	// away keeps the API server from answering, silent keeps whoever asks it waiting.
	away, silent bool
	// accounts are the ServiceAccounts of tokens.
	accounts map[string]authenticationv1.UserInfo

	mu   sync.Mutex
	said strings.Builder
}

func (s *service) Age(time.Time) time.Duration { return s.age }

// begin makes a service with a store in a file, and these objects besides the SigningKey.
func begin(t testing.TB, objects ...client.Object) *service {
	t.Helper()
	s := &service{
		t: t, clock: clocktesting.NewFakeClock(start()), events: events.NewFakeRecorder(100), accounts: map[string]authenticationv1.UserInfo{},
		key: &v1alpha1.SigningKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main", UID: "key"},
			Spec: v1alpha1.SigningKeySpec{Tokens: v1alpha1.TokensSpec{
				MaxDuration:       &metav1.Duration{Duration: time.Hour},
				AllowedNamespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll},
			}},
		},
	}
	s.api = fake.NewClientBuilder().WithScheme(controlplane.Scheme()).
		WithIndex(&v1alpha1.TokenRevocation{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		WithIndex(&v1alpha1.TokenClient{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		WithInterceptorFuncs(interceptor.Funcs{Create: s.review}).Build()
	for _, name := range []string{"bank", "shop", "far"} {
		s.write(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": "prod"}}})
	}
	s.write(s.key)
	s.turn()
	for _, object := range objects {
		s.write(object)
	}
	store, err := tokenstore.Open(t.Context(), (&url.URL{Scheme: "sqlite", Path: filepath.Join(t.TempDir(), "tokens.db")}).String())
	s.must(err)
	t.Cleanup(func() { _ = store.Close() })
	s.store = &switched{Families: store}
	s.options = s.defaults(store)
	s.serve()
	return s
}

func (s *service) defaults(store *tokenstore.Store) tokenservice.Options {
	operator := spec.Operator{ExternalURL: external, SignerStaleness: 5 * time.Minute, HasTokenStore: true}
	rings := ringstore.New(&cache{s.api, s}, &live{s.api, s}, s.clock, operator.SignerStaleness)
	s.lists = denylist.New(s.api, rings, operator, s.clock)
	return tokenservice.Options{
		Reader: s.api, Clock: s.clock, Operator: operator, Permit: permit.New(operator), Rings: rings, DenyLists: s.lists,
		Families: s.store, View: s, Recorder: s.events, Log: s.logger(),
		Clients: clientauth.New(clientauth.Options{
			Cache: s.api, Client: s.api, Live: &live{s.api, s}, Clock: s.clock, Operator: operator, Assertions: assertions{store},
		}),
	}
}

func (s *service) serve() {
	s.handler = tokenservice.NewHandler(s.options, http.NotFoundHandler())
}

func (s *service) logger() logr.Logger {
	return funcr.NewJSON(func(line string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.said.WriteString(line + "\n")
	}, funcr.Options{Verbosity: 10})
}

// log is everything that was logged.
func (s *service) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

type assertions struct{ store *tokenstore.Store }

func (a assertions) Record(ctx context.Context, assertion clientauth.Assertion, now time.Time) (bool, error) {
	return a.store.Record(ctx, tokenstore.Assertion(assertion), now)
}

// switched is a store that can be away.
type switched struct {
	tokenstore.Families
	away bool
}

var errAway = errors.New("connection refused")

// cache can lag behind the API server.
type cache struct {
	client.Reader
	of *service
}

func (c *cache) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if secret, ok := object.(*corev1.Secret); ok && c.of.behind != nil {
		c.of.behind.DeepCopyInto(secret)
		return nil
	}
	return c.Reader.Get(ctx, key, object, options...)
}

// live is the API server, which can be away.
type live struct {
	client.Reader
	of *service
}

func (l *live) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if l.of.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	if l.of.away {
		return errAway
	}
	return l.Reader.Get(ctx, key, object, options...)
}

// review answers TokenReviews as kube-apiserver does.
func (s *service) review(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
	review, ok := object.(*authenticationv1.TokenReview)
	if !ok {
		return c.Create(ctx, object, options...)
	}
	if s.away {
		return errAway
	}
	user, known := s.accounts[review.Spec.Token]
	review.Status = authenticationv1.TokenReviewStatus{Authenticated: known, User: user}
	if known {
		review.Status.Audiences = review.Spec.Audiences
	}
	return nil
}

func (s *service) must(errs ...error) {
	s.t.Helper()
	for _, err := range errs {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// write creates or replaces an object.
func (s *service) write(object client.Object) {
	s.t.Helper()
	present, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		s.t.Fatalf("%T is no object", object)
	}
	copied, _ := object.DeepCopyObject().(client.Object)
	if s.api.Get(s.t.Context(), client.ObjectKeyFromObject(object), present) == nil {
		s.must(s.api.Delete(s.t.Context(), present))
	}
	copied.SetResourceVersion("")
	s.must(s.api.Create(s.t.Context(), copied))
	if s.lists != nil {
		s.lists.Heed(copied)
	}
}

// turn lets the ring advance as the controller does, and writes it.
func (s *service) turn() {
	s.t.Helper()
	minter, seen := &keyring.Minter{}, rotation.Observation{}
	for _, id := range s.ring.IDs() {
		seen[id] = rotation.Everywhere
	}
	outcome, err := s.ring.Ring().Advance(spec.Operator{}.Policy(s.key), seen, s.clock.Now(), minter.Mint)
	s.must(err)
	s.ring, err = s.ring.With(outcome.Ring, minter, jose.KeySet{})
	s.must(err)
	data, err := s.ring.Encode()
	s.must(err)
	s.write(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "bank", Name: "main-signing-key",
			Labels:          map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.key, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: v1alpha1.SecretTypeSigningKey, Data: data,
	})
}

// cart is the client shop.cart with a client secret, which may do everything.
func cart(change ...func(*v1alpha1.TokenClient)) []client.Object {
	c := &v1alpha1.TokenClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "cart", Labels: map[string]string{"team": "blue"}},
		Spec: v1alpha1.TokenClientSpec{
			SigningKeyRef:  v1alpha1.SigningKeyReference{Name: "main", Namespace: "bank"},
			Authentication: v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}},
			GrantTypes:     []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken, v1alpha1.GrantTokenExchange},
			Audiences:      []v1alpha1.Audience{audience, "https://other.example"},
			Scopes:         []v1alpha1.Scope{"read", "write"},
			Claims:         []v1alpha1.ClaimExpression{{Name: "team", Expression: `client.labels["team"]`}},
		},
	}
	for _, f := range change {
		f(c)
	}
	return []client.Object{c, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: c.Name + "-client",
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTokenClient: c.Name},
		},
		Type: v1alpha1.SecretTypeClientSecret, Data: map[string][]byte{v1alpha1.SecretKeyClientSecret: []byte(secret)},
	}}
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
	said   map[string]any
}

func (r reply) text(member string) string {
	value, _ := r.said[member].(string)
	return value
}

// do sends a request as it is.
func (s *service) do(r *http.Request) reply {
	s.t.Helper()
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, r)
	result := recorder.Result()
	body, err := io.ReadAll(result.Body)
	s.must(err, result.Body.Close())
	got := reply{status: result.StatusCode, header: result.Header, body: string(body)}
	_ = json.Unmarshal(body, &got.said) // Some answers have no body.
	return got
}

// post sends a form to an endpoint of bank/main, with client_secret_basic unless the form has a way of its own.
func (s *service) post(endpoint string, pairs ...string) reply {
	s.t.Helper()
	form := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		form.Add(pair[0], pair[1])
	}
	r := s.request(endpoint, form.Encode())
	if !form.Has("client_id") && !form.Has("client_assertion") && !form.Has("anonymous") {
		r.SetBasicAuth(clientID, secret)
	}
	return s.do(r)
}

func (s *service) request(endpoint, body string) *http.Request {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "/bank/main/"+endpoint, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// granted fails the test unless the answer has an access token that verifies, and returns what it says.
func (s *service) granted(r reply) map[string]any {
	s.t.Helper()
	if r.status != http.StatusOK {
		s.t.Fatalf("got %d %s", r.status, r.body)
	}
	says, err := jose.Verify(r.text("access_token"), s.ring.Public())
	s.must(err)
	var claims map[string]any
	s.must(json.Unmarshal(says.Claims, &claims))
	return claims
}

// refused fails the test unless the answer is an error of that status and code.
func (s *service) refused(r reply, status int, code string) {
	s.t.Helper()
	if r.status != status || r.text("error") != code {
		s.t.Errorf("got %d %s, want %d %s", r.status, r.body, status, code)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("Cache-Control is %q", r.header.Get("Cache-Control"))
	}
	if again := r.header.Get("Retry-After"); (again != "") != (status == 503 || status == 429) {
		s.t.Errorf("%d has Retry-After %q", status, again)
	}
	if challenge := r.header.Get("WWW-Authenticate"); (challenge != "") != (status == 401) {
		s.t.Errorf("%d has WWW-Authenticate %q", status, challenge)
	}
}

// account makes a token of a ServiceAccount that the API server knows.
func (s *service) account(namespace, name string) string {
	s.t.Helper()
	return s.accountOf(namespace, name, types.UID(name))
}

func (s *service) accountOf(namespace, name string, uid types.UID) string {
	s.t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	s.must(err)
	subject := spec.ServiceAccountSubject(namespace, name)
	claims, err := json.Marshal(map[string]any{
		"iss": "https://kubernetes.example", "sub": subject, "aud": []string{issuer}, "exp": s.clock.Now().Add(time.Hour).Unix(),
	})
	s.must(err)
	compact, err := jose.Sign(key, "JWT", claims)
	s.must(err)
	object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: uid, Labels: map[string]string{"role": "cashier"},
	}}
	s.write(object)
	s.accounts[compact.Reveal()] = authenticationv1.UserInfo{
		Username: subject, UID: string(uid),
		Extra: map[string]authenticationv1.ExtraValue{
			"authentication.kubernetes.io/pod-name": {name + "-1"}, "authentication.kubernetes.io/pod-uid": {"pod"},
		},
	}
	return compact.Reveal()
}

// oauth2Context makes golang.org/x/oauth2 use a client.
func oauth2Context(t *testing.T, c *http.Client) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), oauth2.HTTPClient, c)
}
