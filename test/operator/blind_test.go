package operator

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

// blindfold keeps an operator from hearing what changes of one resource, while it hears of all others: so the caches of a
// process that was frozen catch up one after the other.
type blindfold struct {
	resource string
	on       atomic.Bool
}

func (b *blindfold) between(_ *app.Options, config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &blinder{blindfold: b, next: next} })
}

type blinder struct {
	*blindfold
	next http.RoundTripper
}

func (b *blinder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") == "true" && strings.HasSuffix(request.URL.Path, "/"+b.resource) {
		response.Body = &silenced{ReadCloser: response.Body, by: b.blindfold, closed: make(chan struct{})}
	}
	return response, err
}

// silenced is the body of a watch, of which nothing more arrives once the blindfold is on.
type silenced struct {
	io.ReadCloser
	by     *blindfold
	closed chan struct{}
	once   sync.Once
}

func (s *silenced) Read(into []byte) (int, error) {
	n, err := s.ReadCloser.Read(into)
	if s.by.on.Load() && err == nil {
		<-s.closed
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func (s *silenced) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.ReadCloser.Close()
}

// looked waits until an operator has asked the API server itself for a SigningKey, or has removed something.
func (w *world) looked(o *operator, ns, name string) {
	w.t.Helper()
	w.eventually("the blind operator looks", func() error {
		if !o.requests.has(http.MethodGet, "/namespaces/"+ns+"/signingkeys/"+name) && !o.requests.has(http.MethodDelete, "/namespaces/"+ns+"/") {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	w.settled(0)
}

func TestACopyOfASigningKeyThatTheCacheDoesNotShowYetStays(t *testing.T) {
	ns := suite.Namespace(t, nil)
	b := &blindfold{resource: "signingkeys"}
	w := begin(t, b.between)
	blind := w.op
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	b.on.Store(true)
	w.takeOver(0)

	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "late")}, nil)
	jwks := w.follow(w.configMap(ns, "late-jwks"), &corev1.ConfigMapList{})
	w.looked(blind, ns, "late")
	jwks.never(func(client.Object) error { return nil })
}

func TestACopyThatALaterSpecAsksForStays(t *testing.T) {
	ns := suite.Namespace(t, nil)
	other := suite.Namespace(t, map[string]string{"jwks": ns})
	b := &blindfold{resource: "signingkeys"}
	w := begin(t, b.between)
	blind := w.op
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	b.on.Store(true)
	w.takeOver(0)

	key := w.key(ns, "shop")
	blind.requests.forget()
	w.patch(key, func() {
		key.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"jwks": ns}}
	})
	w.eventually("the copy", func() error {
		return w.c.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "shop-jwks"}, &corev1.ConfigMap{})
	})
	jwks := w.follow(w.configMap(other, "shop-jwks"), &corev1.ConfigMapList{})
	w.looked(blind, ns, "shop")
	jwks.never(func(client.Object) error { return nil })
}

func TestACopyInANamespaceThatIsSelectedSinceStays(t *testing.T) {
	ns := suite.Namespace(t, nil)
	other := suite.Namespace(t, nil)
	b := &blindfold{resource: "namespaces"}
	w := begin(t, b.between)
	blind := w.op
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop", func(k *v1alpha1.SigningKey) {
		k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"jwks": ns}}
	})}, nil)
	b.on.Store(true)
	w.takeOver(0)

	blind.requests.forget()
	selected := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}}
	w.patch(selected, func() { selected.Labels = map[string]string{"jwks": ns} })
	w.eventually("the copy", func() error {
		return w.c.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "shop-jwks"}, &corev1.ConfigMap{})
	})
	jwks := w.follow(w.configMap(other, "shop-jwks"), &corev1.ConfigMapList{})
	w.looked(blind, ns, "shop")
	jwks.never(func(client.Object) error { return nil })
}
