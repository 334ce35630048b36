package signingkey

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// store writes the ring whole: it creates the Secret, or replaces the one that was read under its resourceVersion, so
// that of two writers who decided on the same ring one fails and looks again.
func (r *Reconciler) store(ctx context.Context, w *world, ring keyring.Keyring) error {
	data, err := ring.Encode()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.key.Namespace, Name: spec.RingSecretName(w.key)}}
	if w.secret != nil {
		secret = w.secret.DeepCopy()
	}
	secret.Type, secret.Data = v1alpha1.SecretTypeSigningKey, data
	secret.Labels = with(secret.Labels, ownLabels(w.key))
	secret.OwnerReferences = []metav1.OwnerReference{kube.OwnerReference(w.key, kind)}
	if w.secret == nil {
		err = r.Client.Create(ctx, secret, fieldOwner)
	} else {
		err = r.Client.Update(ctx, secret, fieldOwner)
	}
	if kube.IsRefused(err) {
		return &foreignError{kube.Problemf(v1alpha1.ReasonSecretConflict, "Secret %s cannot be written: %v", secret.Name, reason(err))}
	}
	if err != nil {
		return fmt.Errorf("write ring Secret: %w", err)
	}
	w.secret = secret
	return nil
}

// reason is the server's reason for an error. Its message could quote what was written.
func reason(err error) string {
	return string(apierrors.ReasonForError(err))
}

// labelled says whether the ring Secret carries Keyturn's marks and its owner.
func labelled(w *world) bool {
	for k, v := range ownLabels(w.key) {
		if w.secret.Labels[k] != v {
			return false
		}
	}
	return metav1.IsControlledBy(w.secret, w.key)
}

// ownLabels mark every object of a SigningKey.
func ownLabels(key *v1alpha1.SigningKey) map[string]string {
	return map[string]string{
		v1alpha1.LabelManagedBy:           v1alpha1.ManagedBy,
		v1alpha1.LabelSigningKey:          key.Name,
		v1alpha1.LabelSigningKeyNamespace: key.Namespace,
	}
}

func with(base, more map[string]string) map[string]string {
	merged := maps.Clone(more)
	for k, v := range base {
		if _, ours := more[k]; !ours {
			merged[k] = v
		}
	}
	return merged
}
