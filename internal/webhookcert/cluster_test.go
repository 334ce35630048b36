package webhookcert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// A cluster is a fake API server that counts requests by verb and can be told to interfere before one takes effect.
type cluster struct {
	client.WithWatch
	t *testing.T

	mu     sync.Mutex
	counts map[string]int
	before map[string]func() error
	lines  []string
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{t: t, counts: map[string]int{}, before: map[string]func() error{}}
	c.WithWatch = fake.NewClientBuilder().WithObjects(objects...).Build()
	return c
}

// start runs a replica until the test ends, which searches what it logged for keys.
func (c *cluster) start(options Options) *Manager {
	c.t.Helper()
	return c.startWith(clock.RealClock{}, options)
}

func (c *cluster) startWith(clk clock.Clock, options Options) *Manager {
	c.t.Helper()
	manager, err := New(c.counted(), clk, options)
	if err != nil {
		c.t.Fatal(err)
	}
	logger := funcr.New(func(_, line string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lines = append(c.lines, line)
	}, funcr.Options{Verbosity: 1})
	ctx := log.IntoContext(c.t.Context(), logger)
	go func() {
		if err := manager.Start(ctx); err != nil {
			c.t.Errorf("start ended with %v", err)
		}
	}()
	c.t.Cleanup(func() {
		synctest.Wait()
		if logged := strings.Join(c.lines, "\n"); strings.Contains(logged, privateKeyBlock) {
			c.t.Errorf("the log shows a key:\n%s", logged)
		}
	})
	synctest.Wait()
	return manager
}

func (c *cluster) counted() client.WithWatch {
	return interceptor.NewClient(c.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return c.count(verb("get", object), func() error { return inner.Get(ctx, key, object, options...) })
		},
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return c.count(verb("create", object), func() error { return inner.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return c.count(verb("update", object), func() error { return inner.Update(ctx, object, options...) })
		},
		Patch: func(ctx context.Context, inner client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return c.count("patch", func() error { return inner.Patch(ctx, object, patch, options...) })
		},
		Watch: func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
			var stream watch.Interface
			err := c.count("watch", func() (err error) {
				stream, err = inner.Watch(ctx, list, options...)
				return err
			})
			return stream, err
		},
	})
}

// verb tells requests for the ConfigMap from those for the other objects.
func verb(of string, object client.Object) string {
	switch _, published := object.(*corev1.ConfigMap); {
	case published && of == "get":
		return "get published"
	case published:
		return "publish"
	}
	return of
}

func (c *cluster) count(verb string, do func() error) error {
	c.mu.Lock()
	c.counts[verb]++
	interfere := c.before[verb]
	c.mu.Unlock()
	if interfere != nil {
		if err := interfere(); err != nil {
			return err
		}
	}
	return do()
}

// interfere has do run before every request of verb from now on; an error takes the request's place.
func (c *cluster) interfere(verb string, do func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before[verb] = do
}

func (c *cluster) requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

func (c *cluster) secret() *corev1.Secret {
	c.t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: testOptions().Namespace, Name: testOptions().SecretName}
	if err := c.Get(c.t.Context(), key, secret); err != nil {
		c.t.Fatal(err)
	}
	return secret
}

func (c *cluster) published() *corev1.ConfigMap {
	c.t.Helper()
	published := &corev1.ConfigMap{}
	if err := c.Get(c.t.Context(), client.ObjectKey{Namespace: testOptions().Namespace, Name: CAConfigMap}, published); err != nil {
		c.t.Fatal(err)
	}
	return published
}

// mustTrust does what a client does that has the ConfigMap: a handshake for each name of what else is served.
func mustTrust(t *testing.T, c *cluster, manager *Manager, names ...string) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.published().Data[authoritiesEntry])) {
		t.Error("the ConfigMap holds no certificate")
	}
	for _, name := range append(names, testOptions().Names...) {
		if err := handshake(t.Context(), manager, &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}); err != nil {
			t.Errorf("a client that trusts the ConfigMap refuses %s: %v", name, err)
		}
	}
}

func (c *cluster) configuration() *admissionregistrationv1.ValidatingWebhookConfiguration {
	c.t.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := c.Get(c.t.Context(), client.ObjectKey{Name: testOptions().WebhookConfiguration}, configuration); err != nil {
		c.t.Fatal(err)
	}
	return configuration
}

// setBundle writes as somebody else.
func (c *cluster) setBundle(bundle []byte) {
	c.t.Helper()
	configuration := c.configuration()
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].ClientConfig.CABundle = bundle
	}
	if err := c.Update(c.t.Context(), configuration); err != nil {
		c.t.Fatal(err)
	}
}

// call does what an API server does before it sends a review: a handshake that trusts the caBundle of each webhook alone.
func (c *cluster) call(manager *Manager) error {
	var failures []error
	for _, webhook := range c.configuration().Webhooks {
		for _, name := range testOptions().Names {
			failures = append(failures, handshake(c.t.Context(), manager, &tls.Config{
				RootCAs: poolOf(parseBundle(webhook.ClientConfig.CABundle)), ServerName: name, MinVersion: tls.VersionTLS12,
			}))
		}
	}
	return errors.Join(failures...)
}

func handshake(ctx context.Context, manager *Manager, caller *tls.Config) error {
	here, there := net.Pipe()
	// A pipe has no buffer: a caller that refuses the certificate and a server that still sends it would wait for each other.
	if err := errors.Join(here.SetDeadline(soon()), there.SetDeadline(soon())); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		server := tls.Server(there, &tls.Config{GetCertificate: manager.GetCertificate, MinVersion: tls.VersionTLS12})
		served <- server.HandshakeContext(ctx)
	}()
	err := tls.Client(here, caller).HandshakeContext(ctx)
	return errors.Join(err, <-served)
}

func soon() time.Time { return clock.RealClock{}.Now().Add(time.Second) }

func mustBeReady(t *testing.T, c *cluster, managers ...*Manager) {
	t.Helper()
	for i, manager := range managers {
		if err := manager.Ready(nil); err != nil {
			t.Errorf("replica %d is not ready: %v", i, err)
		}
		if err := c.call(manager); err != nil {
			t.Errorf("replica %d cannot be called: %v", i, err)
		}
	}
}

func mustNotBeReady(t *testing.T, manager *Manager, because ...string) {
	t.Helper()
	err := manager.Ready(nil)
	if err == nil {
		t.Fatal("ready, which it is not")
	}
	if !slices.ContainsFunc(because, func(part string) bool { return strings.Contains(err.Error(), part) }) {
		t.Errorf("not ready because %q, which does not say %q", err, because)
	}
}

// pause lets the bubble's time pass and everything that falls due in it happen.
func pause(d time.Duration) {
	clock.RealClock{}.Sleep(d)
	synctest.Wait()
}
