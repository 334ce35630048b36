package e2e_test

import (
	"context"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/e2e/history"
)

// observe records what becomes of Keyturn's objects in a namespace until stop is called. The CRDs must be there.
func (c *cluster) observe(t *testing.T, namespace string) (recorded *history.History, stop func()) {
	t.Helper()
	recorded = &history.History{}
	note := func(object any) {
		if err := c.note(recorded, object); err != nil {
			t.Errorf("observe namespace %s: %v", namespace, err)
		}
	}
	options := cache.Options{Scheme: controlplane.Scheme(), DefaultNamespaces: map[string]cache.Config{namespace: {}}}
	return recorded, follow(t, c.config, options, note, &v1alpha1.SigningKey{}, &corev1.Secret{}, &corev1.ConfigMap{})
}

func (c *cluster) note(recorded *history.History, object any) error {
	now := c.clock.Now()
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		recorded.Status(now, object.Name, &object.Status)
	case *corev1.ConfigMap:
		if jwks, published := object.Data[v1alpha1.ConfigMapKeyJWKS]; published {
			return recorded.JWKS(now, "ConfigMap "+object.Name, object.Data[v1alpha1.ConfigMapKeyIssuer], jwks)
		}
	case *corev1.Secret:
		if compact := object.Data[v1alpha1.SecretKeyToken]; object.Type == v1alpha1.SecretTypeToken && len(compact) > 0 {
			return recorded.Token(now, string(compact))
		}
	}
	return nil
}

// learnSecrets notes every private key, every token and every client secret that Keyturn stores from now on, in any namespace, so that they can
// be looked for.
func (c *cluster) learnSecrets(t *testing.T) {
	t.Helper()
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	options := cache.Options{Scheme: controlplane.Scheme(), DefaultLabelSelector: ours}
	follow(t, c.config, options, func(object any) {
		if secret, ok := object.(*corev1.Secret); ok {
			c.secrets.Secret(secret)
		}
	}, &corev1.Secret{})
}

// follow calls do with each state of objects of some kinds, until stop is called or the test ends.
func follow(t *testing.T, config *rest.Config, options cache.Options, do func(any), kinds ...client.Object) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	watched, err := cache.New(config, options)
	must(t, err)
	handler := toolscache.ResourceEventHandlerFuncs{AddFunc: do, UpdateFunc: func(_, object any) { do(object) }}
	ended := make(chan error, 1)
	go func() { ended <- watched.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("follow objects: %v", err)
		}
	})
	t.Cleanup(stop)
	for _, kind := range kinds {
		informer, err := watched.GetInformer(ctx, kind)
		must(t, err)
		_, err = informer.AddEventHandler(handler)
		must(t, err)
	}
	return stop
}
