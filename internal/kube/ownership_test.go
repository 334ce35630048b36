package kube_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

func signingKey() *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main", UID: "uid"}}
}

// owned is an object as a controller of signingKey writes it.
func owned() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "bank", Name: "main-jwks",
		Labels: map[string]string{
			"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/signing-key": "main", "keyturn.dev/signing-key-namespace": "bank",
		},
		OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: "a sponsor, not a controller", UID: "sponsor"},
			kube.OwnerReference(signingKey(), "SigningKey"),
		},
	}}
}

func TestOwns(t *testing.T) {
	type object = *corev1.ConfigMap
	ref := func(o object) *metav1.OwnerReference { return &o.OwnerReferences[1] }
	without := func(o object) { o.OwnerReferences = o.OwnerReferences[:1] }
	cases := map[string]struct {
		changes []func(o object)
		want    bool
	}{
		"an object that it controls":                          {nil, true},
		"an object that it controls and that lost its labels": {[]func(object){func(o object) { o.Labels = nil }}, true},

		"an object restored with an earlier owner": {[]func(object){func(o object) { ref(o).UID = "earlier" }}, true},
		"an object restored without owner":         {[]func(object){without}, true},
		"a Secret of a token restored without owner, which names none": {[]func(object){without, func(o object) {
			o.Labels = map[string]string{"app.kubernetes.io/managed-by": "keyturn"}
		}}, true},

		"an object of nobody":                                               {[]func(object){without, func(o object) { o.Labels = nil }}, false},
		"an object of nobody marked by somebody else":                       {[]func(object){without, func(o object) { o.Labels["app.kubernetes.io/managed-by"] = "Helm" }}, false},
		"an object with an earlier owner and no mark":                       {[]func(object){func(o object) { ref(o).UID, o.Labels = "earlier", nil }}, false},
		"an object of another SigningKey":                                   {[]func(object){func(o object) { ref(o).UID, ref(o).Name = "other", "other" }}, false},
		"an object of another kind's owner of that name":                    {[]func(object){func(o object) { ref(o).UID, ref(o).Kind = "other", "ServiceToken" }}, false},
		"an object of another group's owner of that name":                   {[]func(object){func(o object) { ref(o).UID, ref(o).APIVersion = "other", "example.com/v1" }}, false},
		"an object of another namespace with an earlier owner":              {[]func(object){func(o object) { ref(o).UID, o.Namespace = "earlier", "shop" }}, false},
		"an object of another namespace without owner":                      {[]func(object){without, func(o object) { o.Namespace = "shop" }}, false},
		"an object without owner marked as another SigningKey's":            {[]func(object){without, func(o object) { o.Labels["keyturn.dev/signing-key"] = "other" }}, false},
		"a copy of the JWKS of another namespace's SigningKey of that name": {[]func(object){without, func(o object) { o.Labels["keyturn.dev/signing-key-namespace"] = "shop" }}, false},
		"an object that it only sponsors":                                   {[]func(object){func(o object) { ref(o).Controller, o.Labels = new(false), nil }}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := owned()
			for _, change := range c.changes {
				change(o)
			}
			if got := kube.Owns(signingKey(), "SigningKey", o); got != c.want {
				t.Errorf("owns is %t, want %t", got, c.want)
			}
		})
	}
}

func TestAServiceTokenOwnsNothingMarkedAsASigningKeys(t *testing.T) {
	token := &v1alpha1.ServiceToken{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main", UID: "token"}}
	o := owned()
	o.OwnerReferences = nil
	if kube.Owns(token, "ServiceToken", o) {
		t.Error("a ServiceToken takes a SigningKey's object that lost its owner")
	}
}

// TestBothFormsOfAnOwnerAreTheSame also finds a reference that blocks the owner's deletion, which takes a further right.
func TestBothFormsOfAnOwnerAreTheSame(t *testing.T) {
	want := metav1.OwnerReference{APIVersion: "keyturn.dev/v1alpha1", Kind: "SigningKey", Name: "main", UID: "uid", Controller: new(true)}
	got, err := kube.Convert[metav1.OwnerReference](kube.OwnedBy(signingKey(), "SigningKey"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("OwnedBy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, kube.OwnerReference(signingKey(), "SigningKey")); diff != "" {
		t.Errorf("OwnerReference (-want +got):\n%s", diff)
	}
}

// reader answers with an object of that name, or an error.
type reader struct {
	client.Reader
	name string
	err  error
}

func (r reader) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	into.SetName(r.name)
	return r.err
}

func TestGet(t *testing.T) {
	missing := apierrors.NewNotFound(corev1.Resource("secrets"), "x")
	down := errors.New("connection refused")
	cases := map[string]struct {
		cache, live reader
		want        string
		err         error
	}{
		"what the cache has is not read again":               {cache: reader{name: "cached"}, live: reader{err: down}, want: "cached"},
		"what the cache has not is read from the API server": {cache: reader{err: missing}, live: reader{name: "live"}, want: "live"},
		"what neither has is absent":                         {cache: reader{err: missing}, live: reader{err: missing}},
		"a cache that fails is no absence":                   {cache: reader{err: down}, live: reader{err: missing}, err: down},
		"an API server that fails is no absence":             {cache: reader{err: missing}, live: reader{err: down}, err: down},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{}
			found, err := kube.Get(t.Context(), c.cache, c.live, client.ObjectKey{Namespace: "bank", Name: "x"}, secret)
			if !errors.Is(err, c.err) {
				t.Fatalf("error is %v, want %v", err, c.err)
			}
			if found != (c.want != "") || found && secret.Name != c.want {
				t.Errorf("found is %t with %q, want %q", found, secret.Name, c.want)
			}
		})
	}
}

func TestClassesOfErrors(t *testing.T) {
	secrets := corev1.Resource("secrets")
	terminating := apierrors.NewForbidden(secrets, "x", errors.New("going"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	cases := map[string]struct {
		err            error
		going, refused bool
	}{
		"none":                      {err: nil},
		"not an API error":          {err: errors.New("connection refused")},
		"not found":                 {err: apierrors.NewNotFound(secrets, "x"), going: true},
		"a namespace that is going": {err: terminating, going: true, refused: true},
		"forbidden":                 {err: apierrors.NewForbidden(secrets, "x", errors.New("no")), refused: true},
		"invalid":                   {err: apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("X").GroupKind(), "x", field.ErrorList{}), refused: true},
		"a bad request":             {err: apierrors.NewBadRequest("no"), refused: true},
		"too large":                 {err: apierrors.NewRequestEntityTooLargeError("no"), refused: true},
		"a conflict":                {err: apierrors.NewConflict(secrets, "x", errors.New("no"))},
		"too many requests":         {err: apierrors.NewTooManyRequests("wait", 1)},
		"an internal error":         {err: apierrors.NewInternalError(errors.New("no"))},
		"a timeout":                 {err: apierrors.NewTimeoutError("no", 1)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.err
			if err != nil {
				err = fmt.Errorf("write Secret: %w", err)
			}
			if got := kube.IsGoing(err); got != c.going {
				t.Errorf("IsGoing is %t, want %t", got, c.going)
			}
			if got := kube.IsRefused(err); got != c.refused {
				t.Errorf("IsRefused is %t, want %t", got, c.refused)
			}
		})
	}
}
