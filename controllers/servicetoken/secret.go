package servicetoken

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/secrettemplate"
	"github.com/keyturn/keyturn/internal/spec"
)

// writeSecret applies the Secret around the token at hand, or an empty one if there is none.
func (r *Reconciler) writeSecret(ctx context.Context, w *world) error {
	want, err := w.desiredSecret()
	if err != nil {
		return err
	}
	// What somebody else has put there since the decision was made is never written over: it may be a newer token.
	want.WithResourceVersion(kube.Absent)
	if w.secret != nil {
		want.WithUID(w.secret.UID).WithResourceVersion(w.secret.ResourceVersion)
	}
	err = r.Client.Apply(ctx, want, fieldOwner, client.ForceOwnership)
	switch {
	case err == nil:
		r.secrets.Remember(*want.UID, *want.ResourceVersion, struct{}{})
		return nil
	case kube.IsRefused(err):
		w.retry = true
		return kube.Problemf(v1alpha1.ReasonSecretConflict, "Secret %s cannot be written (%s): if it is immutable, delete it",
			spec.TokenSecretName(w.object), apierrors.ReasonForError(err))
	default:
		return fmt.Errorf("write Secret %s: %w", spec.TokenSecretName(w.object), err)
	}
}

func (w *world) desiredSecret() (*corev1ac.SecretApplyConfiguration, error) {
	labels, annotations := map[string]string{}, map[string]string{}
	template := w.object.Spec.SecretTemplate
	if template != nil {
		for k, v := range template.Labels {
			labels[k] = string(v)
		}
		for k, v := range template.Annotations {
			annotations[k] = string(v)
		}
	}
	labels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	data := map[string][]byte{}
	if w.compact != nil {
		rendered, err := w.render(template)
		if err != nil {
			return nil, kube.Problemf(v1alpha1.ReasonInvalidSpec, "spec.secretTemplate.data: %v", err)
		}
		maps.Copy(data, rendered)
		data[v1alpha1.SecretKeyToken] = []byte(w.compact.Reveal())
	}
	return corev1ac.Secret(spec.TokenSecretName(w.object), w.object.Namespace).
		WithType(v1alpha1.SecretTypeToken).
		WithLabels(labels).WithAnnotations(annotations).WithData(data).
		WithOwnerReferences(kube.OwnedBy(w.object, kind)), nil
}

func (w *world) render(template *v1alpha1.SecretTemplate) (map[string][]byte, error) {
	if template == nil || len(template.Data) == 0 {
		return nil, nil
	}
	return secrettemplate.Render(template.Data, secrettemplate.Fields{
		Token: w.compact.Reveal(), TokenID: w.says.ID, KeyID: w.says.KeyID,
		Issuer: w.says.Issuer, Subject: w.says.Subject, Audiences: w.says.Audience,
		IssuedAt: w.says.IssuedAt, ExpiresAt: w.says.Expiry,
		Name: w.object.Name, Namespace: w.object.Namespace,
	})
}

// secretUpToDate says whether the Secret holds all that it shall. What it holds beyond that, because an earlier spec
// asked for it, is taken away when a new generation of the spec is first seen.
func (w *world) secretUpToDate(want *corev1ac.SecretApplyConfiguration) bool {
	have := w.secret
	return w.object.Status.ObservedGeneration == w.object.Generation &&
		maps.EqualFunc(have.Data, want.Data, bytes.Equal) &&
		holds(have.Labels, want.Labels) && holds(have.Annotations, want.Annotations) &&
		metav1.IsControlledBy(have, w.object)
}

func holds(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}
