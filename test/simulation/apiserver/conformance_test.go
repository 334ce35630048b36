package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	applyv1alpha1 "github.com/keyturn/keyturn/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

var suite controlplane.Suite

func TestMain(m *testing.M) { suite.Run(m) }

// script is one run of the operations against a server; it notes each answer in words in which two servers can be compared.
type script struct {
	t       *testing.T
	c       client.Client
	ns      string
	answers []string
	// seen are the versions and UIDs that were answered, in order, by which they are named.
	versions, uids []string
}

const owner = client.FieldOwner("keyturn-test")

// TestTheServerAnswersAsKubernetesDoes plays one script to both.
func TestTheServerAnswersAsKubernetesDoes(t *testing.T) {
	realNamespace := suite.Namespace(t, nil)
	theReal := &script{t: t, c: suite.Client(t), ns: realNamespace}
	theReal.play()
	server := apiserver.New(func() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) })
	ours := &script{t: t, ns: "test", c: &apiserver.Client{Server: server, User: "somebody", Known: controlplane.Scheme()}}
	if err := ours.c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "test"}}); err != nil {
		t.Fatal(err)
	}
	ours.play()
	if diff := cmp.Diff(theReal.answers, ours.answers); diff != "" {
		t.Errorf("answers (-kube-apiserver +in memory):\n%s", diff)
	}
}

func (s *script) play() {
	s.secrets()
	s.patches()
	s.configMaps()
	s.signingKeys()
	s.places()
}

func (s *script) ctx() context.Context { return s.t.Context() }

// note notes an answer: the class of the error, or the object with versions and UIDs in the order in which they were seen first.
func (s *script) note(what string, object any, err error) {
	s.t.Helper()
	if err != nil {
		s.answers = append(s.answers, fmt.Sprintf("%s: %s", what, apierrors.ReasonForError(err)))
		return
	}
	raw, failed := json.Marshal(object)
	if failed != nil {
		s.t.Fatal(failed)
	}
	var read map[string]any
	if failed := json.Unmarshal(raw, &read); failed != nil {
		s.t.Fatal(failed)
	}
	metadata, _ := read["metadata"].(map[string]any)
	for _, volatile := range []string{"managedFields", "creationTimestamp", "namespace", "deletionGracePeriodSeconds"} {
		delete(metadata, volatile)
	}
	delete(read, "kind")
	delete(read, "apiVersion")
	metadata["resourceVersion"] = order(&s.versions, fmt.Sprint(metadata["resourceVersion"]))
	metadata["uid"] = order(&s.uids, fmt.Sprint(metadata["uid"]))
	if metadata["deletionTimestamp"] != nil {
		metadata["deletionTimestamp"] = "some time"
	}
	if raw, failed = json.Marshal(read); failed != nil {
		s.t.Fatal(failed)
	}
	s.answers = append(s.answers, what+": "+string(raw))
}

func order(seen *[]string, value string) string {
	for i, v := range *seen {
		if v == value {
			return fmt.Sprint("#", i)
		}
	}
	*seen = append(*seen, value)
	return fmt.Sprint("#", len(*seen)-1)
}

func (s *script) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.ns, Name: name}
}

func (s *script) get(name string, into client.Object) client.Object {
	s.t.Helper()
	err := s.c.Get(s.ctx(), client.ObjectKey{Namespace: s.ns, Name: name}, into)
	s.note("get "+name, into, err)
	return into
}

func (s *script) apply(what string, want *corev1ac.SecretApplyConfiguration, by client.FieldOwner) {
	s.t.Helper()
	err := s.c.Apply(s.ctx(), want, by, client.ForceOwnership)
	s.note(what, want, err)
}

func ref(name, uid string) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().WithAPIVersion("keyturn.dev/v1alpha1").WithKind("ServiceToken").WithName(name).WithUID(types.UID(uid)).WithController(true)
}

func (s *script) token(data map[string][]byte) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret("token", s.ns).WithType("keyturn.dev/token").WithData(data).
		WithLabels(map[string]string{"app.kubernetes.io/managed-by": "keyturn"}).WithOwnerReferences(ref("token", "1234"))
}

// secrets does what controllers and users do to Secrets.
func (s *script) secrets() {
	ring := &corev1.Secret{ObjectMeta: s.meta("ring"), Type: "keyturn.dev/signing-key", Data: map[string][]byte{"ring.json": []byte("{}")}}
	s.note("create", ring, s.c.Create(s.ctx(), ring, owner))
	again := &corev1.Secret{ObjectMeta: s.meta("ring"), Type: "keyturn.dev/signing-key"}
	s.note("create what is there", again, s.c.Create(s.ctx(), again, owner))
	old := ring.DeepCopy()
	ring.Data["ring.json"] = []byte("{1}")
	s.note("update", ring, s.c.Update(s.ctx(), ring, owner))
	s.note("update nothing", ring, s.c.Update(s.ctx(), ring, owner))
	s.note("update under an old version", old, s.c.Update(s.ctx(), old, owner))
	retyped := ring.DeepCopy()
	retyped.Type = "Opaque"
	s.note("change the type", retyped, s.c.Update(s.ctx(), retyped, owner))

	s.apply("apply new under a version that nothing has", s.token(map[string][]byte{"token": []byte("a")}).WithResourceVersion("1"), owner)
	s.apply("apply what is there under a version that nothing has", s.token(map[string][]byte{"token": []byte("b")}).WithResourceVersion("1"), owner)
	present := &corev1.Secret{}
	s.get("token", present)
	at := func(want *corev1ac.SecretApplyConfiguration) *corev1ac.SecretApplyConfiguration {
		return want.WithUID(present.UID).WithResourceVersion(present.ResourceVersion)
	}
	s.apply("apply more", at(s.token(map[string][]byte{"token": []byte("b"), "header": []byte("h")})), owner)
	s.apply("apply under the version before", at(s.token(map[string][]byte{"token": []byte("c")})), owner)
	s.get("token", present)
	s.apply("apply the same", at(s.token(map[string][]byte{"token": []byte("b"), "header": []byte("h")})), owner)
	s.get("token", present)
	s.apply("apply less", at(s.token(map[string][]byte{"token": []byte("b")})), owner)
	s.get("token", present)
	present.Data["extra"], present.Data["token"] = []byte("x"), []byte("forged")
	s.note("somebody changes it", present, s.c.Update(s.ctx(), present, client.FieldOwner("somebody")))
	s.apply("apply over that", at(s.token(map[string][]byte{"token": []byte("b")})), owner)
	s.get("token", present)
	s.apply("withdraw", at(s.token(map[string][]byte{})), owner)
	s.get("token", present)
	s.apply("apply to another UID", s.token(map[string][]byte{}).WithUID("other").WithResourceVersion(present.ResourceVersion), owner)
	s.apply("apply to another UID and version", s.token(map[string][]byte{}).WithUID("other").WithResourceVersion("1"), owner)
	s.apply("apply with a UID to what is gone", corev1ac.Secret("gone", s.ns).WithUID("other").WithResourceVersion("5"), owner)
	s.apply("apply under a version to what is gone", corev1ac.Secret("gone2", s.ns).WithResourceVersion("1"), owner)
	present.Data, present.Immutable = map[string][]byte{"token": []byte("i")}, new(true)
	s.note("make it immutable", present, s.c.Update(s.ctx(), present, client.FieldOwner("somebody")))
	s.apply("apply over what is immutable", at(s.token(map[string][]byte{"token": []byte("b")})), owner)
	uid := types.UID("other")
	s.note("delete another UID", nil, s.c.Delete(s.ctx(), present, client.Preconditions{UID: &uid}))
	s.note("delete", map[string]any{"metadata": map[string]any{}}, s.c.Delete(s.ctx(), present))
	s.note("delete again", nil, s.c.Delete(s.ctx(), present))
}

// patches does what a controller does that creates and patches Secrets, and applies when something has to go.
func (s *script) patches() {
	patch := func(what string, secret *corev1.Secret, metadata map[string]any, data map[string]any) {
		s.t.Helper()
		raw, err := json.Marshal(map[string]any{"metadata": metadata, "data": data})
		if err != nil {
			s.t.Fatal(err)
		}
		s.note(what, secret, s.c.Patch(s.ctx(), secret, client.RawPatch(types.MergePatchType, raw), owner))
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "patched", Labels: map[string]string{"l": "1"}},
		Type:       "keyturn.dev/token", Data: map[string][]byte{"token": []byte("a"), "header": []byte("h")},
	}
	s.note("create what will be patched", secret, s.c.Create(s.ctx(), secret, owner))
	first := map[string]any{"uid": secret.UID, "resourceVersion": secret.ResourceVersion}
	patch("patch", secret, first, map[string]any{"token": []byte("b")})
	patch("patch under the version before", secret.DeepCopy(), first, map[string]any{"token": []byte("c")})
	patch("patch another UID", secret.DeepCopy(), map[string]any{"uid": "other"}, map[string]any{"token": []byte("c")})
	patch("patch another UID and version", secret.DeepCopy(), map[string]any{"uid": "other", "resourceVersion": "1"}, map[string]any{"token": []byte("c")})
	patch("patch nothing", secret, map[string]any{"resourceVersion": secret.ResourceVersion}, map[string]any{"token": []byte("b")})
	patch("patch an entry away", secret, map[string]any{}, map[string]any{"header": nil})
	patch("patch what is gone", &corev1.Secret{ObjectMeta: s.meta("gone")}, map[string]any{"resourceVersion": "5"}, map[string]any{"token": []byte("c")})
	patch("patch one more", secret, map[string]any{}, map[string]any{"header": []byte("i")})

	less := func() *corev1ac.SecretApplyConfiguration {
		return corev1ac.Secret("patched", s.ns).WithType("keyturn.dev/token").WithData(map[string][]byte{"token": []byte("b")})
	}
	s.apply("apply less than was created, which counts for nothing", less(), owner)
	partial := &metav1.PartialObjectMetadata{ObjectMeta: s.meta("patched")}
	partial.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := s.c.Get(s.ctx(), client.ObjectKeyFromObject(partial), partial); err != nil {
		s.t.Fatal(err)
	}
	upgrade, err := csaupgrade.UpgradeManagedFieldsPatch(partial, sets.New(string(owner)), string(owner))
	if err != nil {
		s.t.Fatal(err)
	}
	s.note("take over what was created", partial, s.c.Patch(s.ctx(), partial, client.RawPatch(types.JSONPatchType, upgrade)))
	s.note("take over under the version before", partial, s.c.Patch(s.ctx(), partial.DeepCopy(), client.RawPatch(types.JSONPatchType, upgrade)))
	s.apply("apply less than was created", less(), owner)
	s.get("patched", &corev1.Secret{})
}

// configMaps does what controllers and users do to ConfigMaps.
func (s *script) configMaps() {
	want := func(set string) *corev1ac.ConfigMapApplyConfiguration {
		return corev1ac.ConfigMap("jwks", s.ns).WithData(map[string]string{"jwks.json": set, "issuer": "i"}).
			WithLabels(map[string]string{"l": "1"}).WithAnnotations(map[string]string{"keyturn.dev/ring-generation": "1"})
	}
	first := want("{1}").WithResourceVersion("1")
	s.note("apply new", first, s.c.Apply(s.ctx(), first, owner, client.ForceOwnership))
	present := &corev1.ConfigMap{}
	s.get("jwks", present)
	present.Data["jwks.json"], present.Labels = "{0}", nil
	s.note("somebody rolls it back", present, s.c.Update(s.ctx(), present, client.FieldOwner("somebody")))
	second := want("{2}").WithUID(present.UID).WithResourceVersion(present.ResourceVersion)
	s.note("apply over that", second, s.c.Apply(s.ctx(), second, owner, client.ForceOwnership))
	s.get("jwks", present)
	old := "1"
	s.note("delete an old version", nil, s.c.Delete(s.ctx(), present, client.Preconditions{UID: &present.UID, ResourceVersion: &old}))
	present.Finalizers = []string{"keyturn.dev/test"}
	s.note("somebody adds a finalizer", present, s.c.Update(s.ctx(), present))
	s.note("delete what has a finalizer", map[string]any{"metadata": map[string]any{}}, s.c.Delete(s.ctx(), present))
	s.get("jwks", present)
	present.Finalizers = nil
	s.note("somebody removes the finalizer", present, s.c.Update(s.ctx(), present))
	s.get("jwks", &corev1.ConfigMap{})
}

func hours(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Hour} }

// signingKeys does what controllers and users do to SigningKeys and ServiceTokens.
func (s *script) signingKeys() {
	// Durations are given as this client writes them: one that says 1h and one that says 1h0m0s are different specs to the server.
	key := &v1alpha1.SigningKey{ObjectMeta: s.meta("key"), Spec: v1alpha1.SigningKeySpec{
		Issuer: "https://issuer.example",
		Rotation: v1alpha1.RotationSpec{
			Period: hours(720), VerifierCacheDuration: hours(1), PropagationDelay: hours(0), ClockSkew: hours(0),
		},
		Tokens: v1alpha1.TokensSpec{MaxDuration: hours(24)},
		JWKS:   v1alpha1.JWKSSpec{Name: "keys"},
	}}
	s.note("create with defaults", key, s.c.Create(s.ctx(), key))
	status := func() *applyv1alpha1.SigningKeyStatusApplyConfiguration {
		return applyv1alpha1.SigningKeyStatus().WithObservedGeneration(1).WithRingGeneration(2).WithIssuer("https://issuer.example").
			WithActiveKeyID(strings.Repeat("a", 43))
	}
	report := func(version string, status *applyv1alpha1.SigningKeyStatusApplyConfiguration) {
		want := applyv1alpha1.SigningKey("key", s.ns).WithUID(key.UID).WithResourceVersion(version).WithStatus(status)
		s.note("apply the status", want, s.c.Status().Apply(s.ctx(), want, owner, client.ForceOwnership))
	}
	report(key.ResourceVersion, status())
	report(key.ResourceVersion, status())
	s.get("key", key)
	report(key.ResourceVersion, applyv1alpha1.SigningKeyStatus().WithObservedGeneration(1))
	s.get("key", key)
	report(key.ResourceVersion, status())
	s.get("key", key)
	change := func(what string, f func(*v1alpha1.SigningKey)) {
		changed := key.DeepCopy()
		f(changed)
		err := s.c.Update(s.ctx(), changed)
		s.note(what, changed, err)
		if err == nil {
			*key = *changed
		}
	}
	change("annotate", func(k *v1alpha1.SigningKey) { k.Annotations = map[string]string{"a": "b"} })
	change("edit the spec", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = hours(48) })
	change("a period within the lead", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Period = hours(1) })
	change("another issuer", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "https://other.example" })
	change("another Secret", func(k *v1alpha1.SigningKey) { k.Spec.SecretName = "other" })
	change("a status by the front door", func(k *v1alpha1.SigningKey) { k.Status.ActiveKeyID = "forged" })
	change("revoke", func(k *v1alpha1.SigningKey) {
		k.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(strings.Repeat("a", 43))}
	})

	other := applyv1alpha1.SigningKey("key", s.ns).WithUID("other").WithResourceVersion(key.ResourceVersion).WithStatus(status())
	s.note("apply the status of another UID", other, s.c.Status().Apply(s.ctx(), other, owner, client.ForceOwnership))
	gone := applyv1alpha1.SigningKey("gone", s.ns).WithResourceVersion("1").WithStatus(status())
	s.note("apply the status of what is gone", gone, s.c.Status().Apply(s.ctx(), gone, owner, client.ForceOwnership))

	token := &v1alpha1.ServiceToken{ObjectMeta: s.meta("st"), Spec: v1alpha1.ServiceTokenSpec{
		SigningKeyRef: v1alpha1.SigningKeyReference{Name: "key"}, ServiceAccountName: "app", Audiences: []v1alpha1.Audience{"a"},
		Claims: &runtime.RawExtension{Raw: []byte(`{"scope":"x","n":1}`)},
	}}
	s.note("create a ServiceToken", token, s.c.Create(s.ctx(), token))
	patch := func(version string) {
		raw := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"status":{"tokenID":"t","keyID":null},"spec":{"subject":"forged"}}`, version)
		written := &v1alpha1.ServiceToken{ObjectMeta: s.meta("st")}
		err := s.c.Status().Patch(s.ctx(), written, client.RawPatch(types.MergePatchType, []byte(raw)), owner)
		s.note("patch the status", written, err)
	}
	patch(token.ResourceVersion)
	patch(token.ResourceVersion)
	s.get("st", token)
	both := token.DeepCopy()
	both.Spec.Subject = "both"
	s.note("two subjects", both, s.c.Update(s.ctx(), both))
	early := token.DeepCopy()
	early.Spec.Duration, early.Spec.RenewBefore = hours(1), hours(2)
	s.note("renewal before issue", early, s.c.Update(s.ctx(), early))
	s.note("delete a SigningKey", map[string]any{"metadata": map[string]any{}}, s.c.Delete(s.ctx(), key))
	s.get("key", key)
}

// places creates what has no place.
func (s *script) places() {
	lost := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "nowhere", Name: "x"}}
	s.note("create in no namespace", lost, s.c.Create(s.ctx(), lost))
	applied := corev1ac.ConfigMap("x", "nowhere").WithResourceVersion("1")
	s.note("apply in no namespace", applied, s.c.Apply(s.ctx(), applied, owner, client.ForceOwnership))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}
	s.note("delete the namespace", map[string]any{"metadata": map[string]any{}}, s.c.Delete(s.ctx(), namespace))
	late := corev1ac.ConfigMap("late", s.ns).WithResourceVersion("1")
	err := s.c.Apply(s.ctx(), late, owner, client.ForceOwnership)
	s.note("apply in a namespace that goes", late, err)
	s.answers = append(s.answers, fmt.Sprint("because it goes: ", apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)))
}
