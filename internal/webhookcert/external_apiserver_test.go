package webhookcert

import (
	"context"
	"crypto/tls"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// keeper does what cert-manager and its CA injector do.
type keeper struct {
	*realCluster
	authority Material
}

// renew issues another certificate, of another CA if asked so, and first has its CA trusted beside the former one.
func (k *keeper) renew(ca bool, configuration *admissionregistrationv1.ValidatingWebhookConfiguration) *tls.Certificate {
	k.t.Helper()
	now := clock.RealClock{}.Now()
	var err error
	if ca {
		if k.authority, err = renewAuthority(k.authority, k.options, now); err != nil {
			k.t.Fatal(err)
		}
		k.inject(configuration)
	}
	if k.authority.serving, err = issueServing(k.authority, k.options.Names, k.options, now); err != nil {
		k.t.Fatal(err)
	}
	data, err := k.authority.encode()
	if err != nil {
		k.t.Fatal(err)
	}
	delete(data, authorityKeyEntry)
	k.keep(data)
	return k.authority.serving
}

func (k *keeper) inject(configuration *admissionregistrationv1.ValidatingWebhookConfiguration) {
	k.t.Helper()
	injected := configuration.DeepCopy()
	for i := range injected.Webhooks {
		injected.Webhooks[i].ClientConfig.CABundle = encodeBundle(k.authority.authorities)
	}
	if err := k.Patch(k.t.Context(), injected, client.MergeFrom(configuration)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) keep(data map[string][]byte) {
	k.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: DefaultName}, Type: corev1.SecretTypeTLS, Data: data}
	err := k.Update(k.t.Context(), secret)
	if client.IgnoreNotFound(err) == nil && err != nil {
		err = k.Create(k.t.Context(), secret)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) untilServed(manager *Manager, want *tls.Certificate) {
	k.t.Helper()
	k.until("the new certificate is served", func(context.Context) error {
		served, err := manager.GetCertificate(nil)
		if err != nil || !slices.EqualFunc(served.Certificate, want.Certificate, slices.Equal) {
			return errNotYet
		}
		return manager.Ready(nil)
	})
}

func TestAKubeAPIServerCallsThroughTheRenewalsOfAnExternalCertificateWithoutAFailure(t *testing.T) {
	c := newRealCluster(t, func(o *Options) { o.External, o.Propagation = true, 2*time.Second })
	k := &keeper{realCluster: c}
	manager := c.start(&suspended{})
	url := c.serve(manager.GetCertificate)
	configuration := c.webhooks(url, url)
	c.mustCreate(configuration)
	k.untilServed(manager, k.renew(true, configuration))
	c.until("a call succeeds", func(ctx context.Context) error { return c.call(ctx, nil) })
	stop := c.calling()

	k.untilServed(manager, k.renew(false, configuration))
	last := k.renew(true, configuration)
	k.untilServed(manager, last)
	c.until("calls go on", func(ctx context.Context) error { return c.call(ctx, nil) })

	k.keep(map[string][]byte{corev1.TLSCertKey: []byte("nonsense"), corev1.TLSPrivateKeyKey: []byte("nonsense")})
	c.until("the damage is seen", func(context.Context) error {
		if manager.failure.Load() == nil {
			return errNotYet
		}
		return nil
	})
	k.untilServed(manager, last)
	if err := c.Delete(t.Context(), c.secret(t.Context())); err != nil {
		t.Fatal(err)
	}
	c.until("calls go on", func(ctx context.Context) error { return c.call(ctx, nil) })
	k.untilServed(manager, k.renew(false, configuration))
	if err := stop(); err != nil {
		t.Errorf("a call failed: %v", err)
	}
}
