package webhookcert

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// CAConfigMap is the name of the ConfigMap, in the namespace of the Secret, from which clients take the authorities that they
// trust, under ca.crt. The operator's Role allows this one.
const CAConfigMap = "keyturn-ca"

// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=configmaps,resourceNames=keyturn-ca,verbs=get

// readPublished reads past every cache. It returns nil when there is no ConfigMap, or when it is none of Keyturn's business.
func (m *Manager) readPublished(ctx context.Context) (*corev1.ConfigMap, error) {
	if m.options.External {
		return nil, nil
	}
	published := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: m.options.Namespace, Name: CAConfigMap}
	if err := m.client.Get(ctx, key, published); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read CA for clients: %w", err)
	}
	return published, nil
}

// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=configmaps,verbs=create
// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=configmaps,resourceNames=keyturn-ca,verbs=update

// publish makes bundle what the ConfigMap holds and returns it as the API server then has it, with whether it was written. As
// in inject, it must have been read before the Secret that the bundle comes from.
func (m *Manager) publish(ctx context.Context, read *corev1.ConfigMap, bundle []byte) (*corev1.ConfigMap, bool, error) {
	switch {
	case read == nil:
		created := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: m.options.Namespace, Name: CAConfigMap, Labels: map[string]string{managedByLabel: managedByUs},
			},
			Data: map[string]string{authoritiesEntry: string(bundle)},
		}
		if err := m.client.Create(ctx, created, fieldOwner); err != nil {
			return nil, false, fmt.Errorf("publish CA for clients: %w", err)
		}
		return created, true, nil
	case isForeign(read):
		return read, false, fmt.Errorf("publish CA for clients: ConfigMap %s/%s lacks the label %s=%s, so it is not Keyturn's to write: delete it",
			read.Namespace, read.Name, managedByLabel, managedByUs)
	case read.Data[authoritiesEntry] == string(bundle):
		return read, false, nil
	}
	updated := read.DeepCopy()
	updated.Data = map[string]string{authoritiesEntry: string(bundle)}
	if err := m.client.Update(ctx, updated, fieldOwner); err != nil {
		return read, false, fmt.Errorf("publish CA for clients: %w", err)
	}
	return updated, true, nil
}

func isForeign(published *corev1.ConfigMap) bool {
	return published.Labels[managedByLabel] != managedByUs
}

// knownBy returns the authorities that every webhook's bundle and the ConfigMap hold: only what they verify is accepted by
// everybody. A ConfigMap that is not ours can tell clients nothing, so they are not waited for.
func knownBy(configuration *admissionregistrationv1.ValidatingWebhookConfiguration, published *corev1.ConfigMap) []*x509.Certificate {
	trusted := trustedBy(configuration)
	if published != nil && isForeign(published) {
		return trusted
	}
	var clients []*x509.Certificate
	if published != nil {
		clients = parseBundle([]byte(published.Data[authoritiesEntry]))
	}
	return slices.DeleteFunc(trusted, func(authority *x509.Certificate) bool {
		return !slices.ContainsFunc(clients, authority.Equal)
	})
}
