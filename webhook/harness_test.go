package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/webhook"
)

// today is when the tests happen.
func today() time.Time { return time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC) }

func operator() spec.Operator {
	return spec.Operator{MinimumDuration: 5 * time.Minute, SignerStaleness: 5 * time.Minute}
}

// admitter is the webhook server before a cluster that is made of lists.
type admitter struct {
	t      testing.TB
	server ctrlwebhook.Server
	// cached and live are what the handlers read.
	cached, live client.Client
}

// begin makes a server whose cache and API server know the same objects.
func begin(t testing.TB, objects ...client.Object) *admitter {
	t.Helper()
	both := cluster(objects...)
	return serve(t, both, both)
}

func serve(t testing.TB, cached, live client.Client) *admitter {
	t.Helper()
	return serveFor(t, operator(), cached, live)
}

func serveFor(t testing.TB, operator spec.Operator, cached, live client.Client) *admitter {
	t.Helper()
	a := &admitter{t: t, server: ctrlwebhook.NewServer(ctrlwebhook.Options{WebhookMux: http.NewServeMux()}), cached: cached, live: live}
	clk := clocktesting.NewFakePassiveClock(today())
	rings := ringstore.New(cached, live, clk, operator.SignerStaleness)
	webhook.Register(a.server, webhook.Options{
		Reader: cached, APIReader: live, Clock: clk, Operator: operator, Permit: permit.New(operator),
		Rings: rings, DenyLists: denylist.New(cached, rings, operator, clk),
	})
	return a
}

func cluster(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(controlplane.Scheme()).WithObjects(objects...).
		WithIndex(&v1alpha1.ServiceToken{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		WithIndex(&v1alpha1.TokenClient{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		WithIndex(&v1alpha1.TokenPolicy{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		WithIndex(&v1alpha1.SigningKey{}, spec.IndexIssuer, operator().IssuerIndex).
		WithIndex(&v1alpha1.TokenRevocation{}, spec.IndexSigningKey, spec.SigningKeyIndex).
		Build()
}

// request is one question to a webhook.
type request struct {
	path     string
	old, new client.Object
	user     string
}

// ask puts a question as the API server does.
func (a *admitter) ask(r request) *admissionv1.AdmissionResponse {
	a.t.Helper()
	return a.post(r.path, a.review(r))
}

// review is how the API server puts a question.
func (a *admitter) review(r request) []byte {
	a.t.Helper()
	return reviewOf(a.t, admissionv1.AdmissionRequest{
		UID: "1", UserInfo: authenticationv1.UserInfo{Username: r.user}, Namespace: namespaceOf(r),
		Object: raw(a.t, r.new), OldObject: raw(a.t, r.old), Operation: operation(r),
	})
}

func reviewOf(t testing.TB, asked admissionv1.AdmissionRequest) []byte {
	t.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &asked,
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func namespaceOf(r request) string {
	if r.new == nil {
		return r.old.GetNamespace()
	}
	return r.new.GetNamespace()
}

func operation(r request) admissionv1.Operation {
	switch {
	case r.old == nil:
		return admissionv1.Create
	case r.new == nil:
		return admissionv1.Delete
	default:
		return admissionv1.Update
	}
}

func (a *admitter) post(path string, body []byte) *admissionv1.AdmissionResponse {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	httpRequest := httptest.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
	httpRequest.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	a.server.WebhookMux().ServeHTTP(recorder, httpRequest)
	if recorder.Code != http.StatusOK {
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Code: int32(recorder.Code), Message: recorder.Body.String()}} //nolint:gosec // Statuses have three digits.
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || review.Response == nil {
		a.t.Fatalf("%s answered %d: %s", path, recorder.Code, recorder.Body)
	}
	return review.Response
}

func raw(t testing.TB, object client.Object) runtime.RawExtension {
	t.Helper()
	if object == nil {
		return runtime.RawExtension{}
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: encoded}
}

// check compares an answer with what is wanted: a refusal that says so, or none if the want is empty, and the warnings.
func (a *admitter) check(r request, refusal string, warnings ...string) {
	a.t.Helper()
	got := a.ask(r)
	message := ""
	if !got.Allowed {
		message = got.Result.Message
	}
	if got.Allowed != (refusal == "") || !strings.Contains(message, refusal) {
		a.t.Errorf("allowed=%v: %s\nwant: %s", got.Allowed, message, refusal)
	}
	if len(got.Warnings) != len(warnings) {
		a.t.Fatalf("warnings %q, want %q", got.Warnings, warnings)
	}
	for i, want := range warnings {
		if !strings.Contains(got.Warnings[i], want) {
			a.t.Errorf("warning: %s\n want: %s", got.Warnings[i], want)
		}
	}
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func lenient(name string) *corev1.Namespace {
	return namespace(name, map[string]string{v1alpha1.LabelExpiredCredentials: "warn"})
}

func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func signingKey(namespace, name string, change ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "key-uid"},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: "https://" + name + "." + namespace + ".example",
			Tokens: v1alpha1.TokensSpec{AllowedNamespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}},
		},
	}
	for _, f := range change {
		f(key)
	}
	return key
}

func serviceToken(namespace, name string, key *v1alpha1.SigningKey, change ...func(*v1alpha1.ServiceToken)) *v1alpha1.ServiceToken {
	t := &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Namespace: key.Namespace, Name: key.Name},
			ServiceAccountName: name, Audiences: []v1alpha1.Audience{"https://api.example"},
		},
	}
	for _, f := range change {
		f(t)
	}
	return t
}

// ring is a SigningKey's ring with one key, and the Secret that holds it.
type ring struct {
	keys   keyring.Keyring
	secret *corev1.Secret
}

func newRing(t testing.TB, key *v1alpha1.SigningKey) ring {
	t.Helper()
	var minter keyring.Minter
	outcome, err := rotation.Ring{}.Advance(operator().Policy(key), nil, today(), minter.Mint)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Keyring{}.With(outcome.Ring, &minter, jose.KeySet{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := keys.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return ring{keys: keys, secret: &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: spec.RingSecretName(key), Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "SigningKey", Name: key.Name, UID: key.UID, Controller: new(true),
			}},
		},
		Type: v1alpha1.SecretTypeSigningKey,
		Data: data,
	}}
}

// sign signs a token of an issuer that expires after life.
func (r ring) sign(t testing.TB, issuer string, life time.Duration) string {
	t.Helper()
	signer, _ := r.keys.Signer()
	asked := token.Request{Issuer: issuer, Subject: "till", Audiences: []string{"https://api.example"}, Duration: life}
	claims, err := token.Encode(asked.Payload("id", today()))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jose.Sign(signer, token.TypeJWT, claims)
	if err != nil {
		t.Fatal(err)
	}
	return compact.Reveal()
}

func tokenSecret(namespace, name, compact string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Type:       v1alpha1.SecretTypeToken,
		Data:       map[string][]byte{v1alpha1.SecretKeyToken: []byte(compact)},
	}
}
