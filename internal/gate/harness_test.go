package gate

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/pkg/verify"
	"github.com/keyturn/keyturn/test/controlplane"
)

const (
	external = "https://tokens.example/jwt"
	audience = "https://orders.example.com"
)

func start() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC) }

// replica is a gate that is told of each object that the test writes.
type replica struct {
	t         testing.TB
	cache     client.Client
	clock     *clocktesting.FakePassiveClock
	view      oldView
	directory *Directory
	gate      *Gate
	handler   http.Handler
	published published
	// revoked are the IDs of tokens that were taken back; unknowable says that nobody can know.
	revoked    []string
	unknowable error
	lines      []string
	// logs makes a context whose logger writes lines.
	logs    func() context.Context
	written int64
}

// oldView is a View that is as old as the test says.
type oldView struct{ age, limit time.Duration }

func (v *oldView) Age(time.Time) time.Duration { return v.age }
func (v *oldView) IsStale(time.Time) bool      { return v.age > v.limit }

type published map[types.NamespacedName][]byte

func (p published) JWKS(key types.NamespacedName) (set []byte, tag string) {
	return p[key], fmt.Sprintf("%x", sha256.Sum256(p[key]))
}

// newReplica knows no object.
func newReplica(t testing.TB) *replica {
	t.Helper()
	r := &replica{
		t: t, clock: clocktesting.NewFakePassiveClock(start()), view: oldView{limit: 2 * time.Minute}, published: published{},
		cache: fake.NewClientBuilder().WithScheme(controlplane.Scheme()).Build(),
	}
	logger := funcr.New(func(prefix, args string) { r.lines = append(r.lines, prefix+" "+args) }, funcr.Options{})
	r.logs = func() context.Context { return log.IntoContext(context.WithoutCancel(r.t.Context()), logger) }
	operator := spec.Operator{ExternalURL: external, SignerStaleness: 2 * time.Minute}
	r.directory = NewDirectory(r.cache, r.published, r.denyList, operator, r.clock, 100)
	r.gate = New(r.directory, &r.view, r.clock)
	r.handler = NewHandler(r.gate, external, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	return r
}

func (r *replica) denyList(types.NamespacedName) verify.DenyFunc {
	return func(_ context.Context, token *verify.Token) (bool, error) {
		return slices.Contains(r.revoked, token.ID), r.unknowable
	}
}

func (r *replica) must(errs ...error) {
	r.t.Helper()
	for _, err := range errs {
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// write creates or replaces an object and tells of it.
func (r *replica) write(object client.Object) {
	r.t.Helper()
	object = object.DeepCopyObject().(client.Object)
	r.written++
	object.SetGeneration(r.written)
	present := object.DeepCopyObject().(client.Object)
	if r.cache.Get(r.t.Context(), client.ObjectKeyFromObject(object), present) != nil {
		r.must(r.cache.Create(r.t.Context(), object))
	} else {
		object.SetResourceVersion(present.GetResourceVersion())
		r.must(r.cache.Update(r.t.Context(), object))
	}
	r.directory.heed(r.logs(), object)
}

func (r *replica) remove(object client.Object) {
	r.t.Helper()
	r.must(r.cache.Delete(r.t.Context(), object))
	r.directory.heed(r.logs(), object)
}

// key writes a SigningKey in the namespace shop that publishes the keys of these signers.
func (r *replica) key(name string, of ...signer) *v1alpha1.SigningKey {
	r.t.Helper()
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}}
	r.publish(name, of...)
	r.write(key)
	return key
}

func (r *replica) publish(name string, of ...signer) {
	r.t.Helper()
	r.published[types.NamespacedName{Namespace: "shop", Name: name}] = jwks(r.t, of...)
}

// policy writes a TokenPolicy shop/api of the SigningKey shop/orders with these changes.
func (r *replica) policy(change ...func(*v1alpha1.TokenPolicySpec)) *v1alpha1.TokenPolicy {
	r.t.Helper()
	policy := &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "api", UID: "policy"},
		Spec: v1alpha1.TokenPolicySpec{
			Issuers:   []v1alpha1.PolicyIssuer{{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: "orders"}}},
			Audiences: []v1alpha1.Audience{audience},
		},
	}
	for _, f := range change {
		f(&policy.Spec)
	}
	r.write(policy)
	return policy
}

// begun is a replica with a policy for tokens of a signer.
func begun(t testing.TB, change ...func(*v1alpha1.TokenPolicySpec)) (*replica, signer) {
	t.Helper()
	r, s := newReplica(t), newSigner(t)
	r.key("orders", s)
	r.policy(change...)
	return r, s
}

func rule(expression, message string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Rules = append(s.Rules, v1alpha1.RequestRule{Expression: expression, Message: message})
	}
}

func header(name, claim string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Headers = append(s.Headers, v1alpha1.ClaimHeader{Name: name, Claim: claim})
	}
}

func scope(name string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Scopes = append(s.Scopes, v1alpha1.Scope(name)) }
}

// ask asks as a proxy does, for GET / of orders.example.com unless headers say otherwise; a header "-Name" is not sent.
func (r *replica) ask(token string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.logs(), http.MethodGet, "https://keyturn/verify/shop/api", http.NoBody)
	request.Header.Set("X-Forwarded-Method", http.MethodGet)
	request.Header.Set("X-Forwarded-Host", "orders.example.com")
	request.Header.Set("X-Forwarded-Uri", "/")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for pair := range slices.Chunk(headers, 2) {
		if name, without := strings.CutPrefix(pair[0], "-"); without {
			request.Header.Del(name)
			continue
		}
		request.Header.Set(pair[0], pair[1])
	}
	response := httptest.NewRecorder()
	r.handler.ServeHTTP(response, request)
	return response
}

// status is what a proxy goes by.
func (r *replica) status(token string, headers ...string) int {
	r.t.Helper()
	return r.ask(token, headers...).Code
}

// signer signs whatever it is told to, as an attacker with a key would.
type signer struct {
	key     jose.PrivateKey
	private ed25519.PrivateKey
}

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key: key, private: private.(ed25519.PrivateKey)}
}

type claims = map[string]any

// payload is good for an hour from the start on; changes replace claims, or remove those that are nil.
func payload(changes claims) string {
	all := claims{
		"iss": external + "/shop/orders", "aud": audience, "sub": "alice", "jti": "one", "scope": "orders:read orders:write",
		"iat": start().Unix(), "nbf": start().Unix(), "exp": start().Add(time.Hour).Unix(),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	encoded, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func (s signer) sign(changes claims) string { return s.forge(s.header(""), payload(changes)) }

func (s signer) header(more string) string {
	return fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt"%s}`, s.key.ID(), more)
}

func (s signer) forge(header, payload string) string {
	text := b64(header) + "." + b64(payload)
	return text + "." + b64(string(ed25519.Sign(s.private, []byte(text))))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func jwks(t testing.TB, of ...signer) []byte {
	t.Helper()
	if len(of) == 0 {
		return nil
	}
	var keys []jose.PublicKey
	for _, one := range of {
		keys = append(keys, one.key.Public())
	}
	set, err := jose.NewKeySet(keys...).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// send asks for another path, by another method.
func (r *replica) send(method, path, token string) int {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.logs(), method, "https://keyturn"+path, strings.NewReader("access_token="+token))
	request.Header.Set("Authorization", "Bearer "+token)
	response := httptest.NewRecorder()
	r.handler.ServeHTTP(response, request)
	return response.Code
}

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// present asks as a proxy does that hands on whatever there is.
func (r *replica) present(incoming Incoming) *httptest.ResponseRecorder {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.logs(), http.MethodGet, "https://keyturn/verify/shop/api", http.NoBody)
	request.Header["Authorization"] = incoming.Authorization
	request.Header["X-Forwarded-Method"] = incoming.Method
	request.Header["X-Forwarded-Host"] = incoming.Host
	request.Header["X-Forwarded-Uri"] = incoming.URI
	response := httptest.NewRecorder()
	r.handler.ServeHTTP(response, request)
	return response
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}
}

func nameOf(policy string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: policy}
}
