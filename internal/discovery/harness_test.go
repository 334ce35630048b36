package discovery

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/controlplane"
)

const (
	external = "https://tokens.example/jwt"
	path     = "/bank/main/jwks.json"
	config   = "/bank/main/.well-known/openid-configuration"
)

func start() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC) }

// replica is a Directory that is told of each object that the test writes, and what answers from it.
type replica struct {
	t         testing.TB
	cache     client.Client
	directory *Directory
	clock     *clocktesting.FakePassiveClock
	view      oldView
	handler   *Handler
	// denied is the deny list, or why there is none.
	denied      denylist.Document
	deniedError error
	// ring and key are what the controller has decided last.
	ring keyring.Keyring
	key  *v1alpha1.SigningKey
}

// oldView is a View that is as old as the test says.
type oldView struct{ age, limit time.Duration }

func (v *oldView) Age(time.Time) time.Duration { return v.age }
func (v *oldView) IsStale(time.Time) bool      { return v.age > v.limit }

// newReplica knows no object yet.
func newReplica(t testing.TB) *replica {
	t.Helper()
	r := &replica{
		t: t, clock: clocktesting.NewFakePassiveClock(start()), view: oldView{limit: 2 * time.Minute},
		key: &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main", UID: "owner"}},
	}
	r.restart(fake.NewClientBuilder().WithScheme(controlplane.Scheme()).Build())
	return r
}

// restart forgets all that is in memory.
func (r *replica) restart(cache client.Client) {
	r.cache = cache
	rings := ringstore.New(cache, cache, r.clock, time.Minute)
	r.directory = NewDirectory(cache, rings, spec.Operator{ExternalURL: external})
	r.handler = NewHandler(r.directory, r, &r.view, r.clock, external, func() float64 { return 0 })
	var keys v1alpha1.SigningKeyList
	r.must(cache.List(r.t.Context(), &keys))
	for i := range keys.Items {
		r.directory.heed(r.t.Context(), &keys.Items[i])
	}
}

func (r *replica) Document(context.Context, types.NamespacedName) (denylist.Document, error) {
	return r.denied, r.deniedError
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
	present := object.DeepCopyObject().(client.Object)
	if r.cache.Get(r.t.Context(), client.ObjectKeyFromObject(object), present) != nil {
		object.SetResourceVersion("")
		r.must(r.cache.Create(r.t.Context(), object))
	} else {
		object.SetResourceVersion(present.GetResourceVersion())
		r.must(r.cache.Update(r.t.Context(), object))
	}
	r.directory.heed(r.t.Context(), object)
}

func (r *replica) remove(object client.Object) {
	r.t.Helper()
	r.must(r.cache.Delete(r.t.Context(), object))
	r.directory.heed(r.t.Context(), object)
}

// turn lets the ring advance as the controller does, and writes it.
func (r *replica) turn() {
	r.t.Helper()
	minter := &keyring.Minter{}
	seen := rotation.Observation{}
	for _, id := range r.ring.IDs() {
		seen[id] = rotation.Everywhere
	}
	outcome, err := r.ring.Ring().Advance(spec.Operator{}.Policy(r.key), seen, r.clock.Now(), minter.Mint)
	r.must(err)
	r.ring, err = r.ring.With(outcome.Ring, minter, jose.KeySet{})
	r.must(err)
	r.write(r.secret())
}

// secret is the ring Secret as it shall be.
func (r *replica) secret() *corev1.Secret {
	r.t.Helper()
	data, err := r.ring.Encode()
	r.must(err)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.key.Namespace, Name: "main-signing-key", UID: "secret", Labels: r.labels(),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(r.key, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: v1alpha1.SecretTypeSigningKey, Data: data,
	}
}

// report writes what the controller says of the ring.
func (r *replica) report() {
	r.t.Helper()
	ring := r.ring.Ring()
	r.key.Status = v1alpha1.SigningKeyStatus{RingGeneration: ring.Generation}
	for _, k := range ring.Keys {
		r.key.Status.Keys = append(r.key.Status.Keys, v1alpha1.KeyStatus{ID: k.ID, State: v1alpha1.KeyState(k.State)})
	}
	for _, d := range ring.Denied {
		r.key.Status.Keys = append(r.key.Status.Keys, v1alpha1.KeyStatus{ID: d.ID, State: v1alpha1.KeyRevoked})
	}
	r.write(r.key)
}

// copied writes a JWKS ConfigMap with these keys.
func (r *replica) copied(keys jose.KeySet) {
	r.t.Helper()
	set, err := keys.JSON()
	r.must(err)
	r.write(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.key.Namespace, Name: "main-jwks", Labels: r.labels()},
		Data:       map[string]string{v1alpha1.ConfigMapKeyJWKS: string(set)},
	})
}

func (r *replica) labels() map[string]string {
	return map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelSigningKey: "main", v1alpha1.LabelSigningKeyNamespace: r.key.Namespace,
	}
}

// begun is a replica that knows a SigningKey with a ring, its status and its ConfigMap.
func begun(t testing.TB, change ...func(*v1alpha1.SigningKey)) *replica {
	t.Helper()
	r := newReplica(t)
	for _, f := range change {
		f(r.key)
	}
	r.write(r.key)
	r.turn()
	r.report()
	r.copied(r.ring.Public())
	return r
}

func (r *replica) do(method, path string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	request := httptest.NewRequestWithContext(context.WithoutCancel(r.t.Context()), method, "https://tokens.example"+path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response := httptest.NewRecorder()
	r.handler.ServeHTTP(response, request)
	return response
}

func (r *replica) get(path string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do(http.MethodGet, path, headers...)
}

// ids are the IDs of the keys that are served, or the status that is answered instead.
func (r *replica) ids() ([]string, int) {
	r.t.Helper()
	response := r.get(path)
	if response.Code != http.StatusOK {
		return nil, response.Code
	}
	set, err := jose.ParseKeySet(response.Body.Bytes())
	r.must(err)
	var ids []string
	for _, key := range set.Keys() {
		ids = append(ids, key.ID())
	}
	return ids, response.Code
}

// configuration is what an answer says of the issuer.
func configurationOf(t *testing.T, response *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(response.Body.Bytes(), &members); err != nil {
		t.Fatalf("read configuration: %v", err)
	}
	return members
}

func revokedID(id string) []v1alpha1.KeyID { return []v1alpha1.KeyID{v1alpha1.KeyID(id)} }

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "bank", Name: name}
}
