package operator

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The policy of the tests: the defaults of the API scaled down, all above the floors of production.
const (
	period       = 10 * time.Hour
	cache        = time.Hour
	propagation  = 2 * time.Minute
	skew         = time.Minute
	lead         = cache + propagation + skew
	longestToken = 6 * time.Hour
	staleness    = 5 * time.Minute
	life         = time.Hour
)

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func newKey(ns, name string, change ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Issuer: fmt.Sprintf("https://%s.%s.example", name, ns), Algorithm: "ES256",
			Rotation: v1alpha1.RotationSpec{
				Period: duration(period), VerifierCacheDuration: duration(cache),
				PropagationDelay: duration(propagation), ClockSkew: duration(skew),
			},
			Tokens: v1alpha1.TokensSpec{MaxDuration: duration(longestToken)},
		},
	}
	for _, f := range change {
		f(key)
	}
	return key
}

func newToken(ns, name, key string, change ...func(*v1alpha1.ServiceToken)) *v1alpha1.ServiceToken {
	token := &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Name: key},
			ServiceAccountName: name, Audiences: []v1alpha1.Audience{"https://api.example"},
			Duration: duration(life),
		},
	}
	for _, f := range change {
		f(token)
	}
	return token
}

// create creates objects through admission, waiting for the webhook to answer first.
func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		w.eventually("create "+object.GetName(), func() error { return w.c.Create(w.t.Context(), object) })
	}
}

// patch changes an object as kubectl patch would.
func (w *world) patch(object client.Object, change func()) {
	w.t.Helper()
	w.must(w.c.Get(w.t.Context(), client.ObjectKeyFromObject(object), object))
	before := object.DeepCopyObject().(client.Object)
	change()
	w.must(w.c.Patch(w.t.Context(), object, client.MergeFrom(before)))
}

func (w *world) key(ns, name string) *v1alpha1.SigningKey {
	w.t.Helper()
	key, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &v1alpha1.SigningKey{})
	w.must(err)
	return key
}

func (w *world) token(ns, name string) *v1alpha1.ServiceToken {
	w.t.Helper()
	token, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &v1alpha1.ServiceToken{})
	w.must(err)
	return token
}

func (w *world) secret(ns, name string) *corev1.Secret {
	w.t.Helper()
	secret, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &corev1.Secret{})
	w.must(err)
	return secret
}

func (w *world) configMap(ns, name string) *corev1.ConfigMap {
	w.t.Helper()
	cm, err := read(w, client.ObjectKey{Namespace: ns, Name: name}, &corev1.ConfigMap{})
	w.must(err)
	return cm
}

// conditionIs says whether a condition has that status and reason for the current generation.
func conditionIs(object client.Object, conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string) error {
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != object.GetGeneration() {
		return fmt.Errorf("condition %s of %s at generation %d is %+v, want %s %s", kind, object.GetName(), object.GetGeneration(), c, status, reason)
	}
	return nil
}

func (w *world) keyIs(ns, name, kind string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	w.eventually("SigningKey "+name, func() error {
		key := w.key(ns, name)
		return conditionIs(key, key.Status.Conditions, kind, status, reason)
	})
}

func (w *world) tokenIs(ns, name string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	w.eventually("ServiceToken "+name, func() error {
		token := w.token(ns, name)
		return conditionIs(token, token.Status.Conditions, v1alpha1.ConditionReady, status, reason)
	})
}

// ready applies a key and a token and waits until both are Ready.
func (w *world) ready(ns string, keys []*v1alpha1.SigningKey, tokens []*v1alpha1.ServiceToken) {
	w.t.Helper()
	for _, key := range keys {
		w.create(key)
		w.keyIs(ns, key.Name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
	for _, token := range tokens {
		w.create(token)
		w.tokenIs(token.Namespace, token.Name, metav1.ConditionTrue, v1alpha1.ReasonIssued)
	}
}

// states are the key IDs of a SigningKey by state.
func states(key *v1alpha1.SigningKey) map[v1alpha1.KeyState][]string {
	found := map[v1alpha1.KeyState][]string{}
	for _, k := range key.Status.Keys {
		found[k.State] = append(found[k.State], k.ID)
	}
	return found
}

// published are the key IDs of a JWK Set.
func published(t *testing.T, jwks string) []string {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		t.Fatalf("read JWKS: %v", err)
	}
	var ids []string
	for _, k := range set.Keys {
		if !k.IsPublic() {
			t.Fatalf("key %s of a published JWKS is not public", k.KeyID)
		}
		ids = append(ids, k.KeyID)
	}
	return ids
}

// verify judges a token by a JWK Set with a library of its own.
func verify(compact, jwks string, now time.Time, issuer string) (jwt.Claims, error) {
	var set jose.JSONWebKeySet
	var claims jwt.Claims
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		return claims, fmt.Errorf("read JWKS: %w", err)
	}
	parsed, err := jwt.ParseSigned(compact, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err != nil {
		return claims, fmt.Errorf("parse token: %w", err)
	}
	if err := parsed.Claims(set, &claims); err != nil {
		return claims, fmt.Errorf("verify token: %w", err)
	}
	return claims, claims.ValidateWithLeeway(jwt.Expected{Time: now, Issuer: issuer}, 0)
}

// verifies says whether the token in a Secret verifies by the JWKS ConfigMap of a key now.
func (w *world) verifies(ns, token, key string) error {
	secret, err := read(w, client.ObjectKey{Namespace: ns, Name: token}, &corev1.Secret{})
	if err != nil {
		return err
	}
	cm, err := read(w, client.ObjectKey{Namespace: ns, Name: key + "-jwks"}, &corev1.ConfigMap{})
	if err != nil {
		return err
	}
	_, err = verify(string(secret.Data["token"]), cm.Data["jwks.json"], w.now(), cm.Data["issuer"])
	return err
}

// privatePart is the private member of the Active key.
func privatePart(t *testing.T, ring *corev1.Secret) string {
	t.Helper()
	var jwk struct {
		D string `json:"d"`
	}
	if err := json.Unmarshal(ring.Data["signing-key.jwk"], &jwk); err != nil || jwk.D == "" {
		t.Fatalf("the ring Secret's JWK has no private member (%v)", err)
	}
	return jwk.D
}
