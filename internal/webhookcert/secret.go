package webhookcert

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	fieldOwner     = client.FieldOwner("keyturn-webhook-certificate")
	managedByLabel = "app.kubernetes.io/managed-by"
	managedByUs    = "keyturn"
)

// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=secrets,resourceNames=keyturn-webhook-cert,verbs=get

// readSecret reads past every cache. It returns nil when there is none.
func (m *Manager) readSecret(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: m.options.Namespace, Name: m.options.SecretName}
	if err := m.client.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read webhook certificate: %w", err)
	}
	return secret, nil
}

// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=secrets,resourceNames=keyturn-webhook-cert,verbs=update

// writeSecret creates the Secret, or updates the one that was read under its resourceVersion: of several replicas one
// succeeds, and the others read what it wrote. Entries and labels that others have added stay.
func (m *Manager) writeSecret(ctx context.Context, read *corev1.Secret, material Material) error {
	data, err := material.encode()
	if err != nil {
		return err
	}
	if read == nil {
		if err := m.client.Create(ctx, m.newSecret(data), fieldOwner); err != nil {
			return fmt.Errorf("create webhook certificate: %w", err)
		}
		return nil
	}
	updated := read.DeepCopy()
	if updated.Data == nil {
		updated.Data = map[string][]byte{}
	}
	maps.Copy(updated.Data, data)
	if err := m.client.Update(ctx, updated, fieldOwner); err != nil {
		return fmt.Errorf("update webhook certificate: %w", err)
	}
	return nil
}

func (m *Manager) newSecret(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: m.options.Namespace,
			Name:      m.options.SecretName,
			Labels:    map[string]string{managedByLabel: managedByUs},
		},
		Type: corev1.SecretTypeTLS,
		Data: data,
	}
}

// refuseForeign keeps a Secret that somebody else made for something else from being overwritten.
func refuseForeign(secret *corev1.Secret) error {
	if secret == nil || secret.Labels[managedByLabel] == managedByUs {
		return nil
	}
	return fmt.Errorf("secret %s/%s lacks the label %s=%s, so it is not Keyturn's to write: delete it, choose another name, "+
		"or declare the webhook certificate external", secret.Namespace, secret.Name, managedByLabel, managedByUs)
}
