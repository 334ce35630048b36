package servicetoken

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/secrettemplate"
	"github.com/keyturn/keyturn/internal/spec"
)

// writeSecret writes the Secret around the token at hand, or an empty one if there is none.
func (r *Reconciler) writeSecret(ctx context.Context, w *world) error {
	want, err := w.desiredSecret()
	if err != nil {
		return err
	}
	// What somebody else has put there since the decision was made is never written over: it may be a newer token.
	switch {
	case w.secret == nil:
		err = r.Client.Create(ctx, want, fieldOwner)
	case w.onlyValuesDiffer(want):
		err = r.patchSecret(ctx, w.secret, want)
	default:
		err = r.applySecret(ctx, w.secret, want)
	}
	switch {
	case err == nil:
		r.secrets.Remember(want.UID, want.ResourceVersion, struct{}{})
		return nil
	case kube.IsRefused(err):
		w.retry = true
		return kube.Problemf(v1alpha1.ReasonSecretConflict, "Secret %s cannot be written (%s): if it is immutable, delete it",
			spec.TokenSecretName(w.object), apierrors.ReasonForError(err))
	default:
		return fmt.Errorf("write Secret %s: %w", spec.TokenSecretName(w.object), err)
	}
}

// patchSecret replaces the values of entries that are there: a renewal, which is what is written most. An API server has less to do
// for it than for server-side apply.
func (r *Reconciler) patchSecret(ctx context.Context, have, want *corev1.Secret) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": have.UID, "resourceVersion": have.ResourceVersion},
		"data":     want.Data,
	})
	if err != nil {
		return fmt.Errorf("encode Secret: %w", err)
	}
	return r.Client.Patch(ctx, want, client.RawPatch(types.MergePatchType, patch), fieldOwner)
}

// applySecret also takes away what an earlier spec has asked for. What was created or patched counts as applied from then on.
func (r *Reconciler) applySecret(ctx context.Context, have, want *corev1.Secret) error {
	version, err := r.adopt(ctx, have)
	if err != nil {
		return err
	}
	applied, err := kube.Convert[corev1ac.SecretApplyConfiguration](want)
	if err != nil {
		return err
	}
	applied.WithKind("Secret").WithAPIVersion("v1").WithUID(have.UID).WithResourceVersion(version)
	if err := r.Client.Apply(ctx, applied, fieldOwner, client.ForceOwnership); err != nil {
		return err
	}
	want.UID, want.ResourceVersion = *applied.UID, *applied.ResourceVersion
	return nil
}

// adopt makes what this controller has created and patched its own as if it had applied it, and returns the version that the Secret has
// then. Server-side apply takes away only what was applied.
func (r *Reconciler) adopt(ctx context.Context, have *corev1.Secret) (string, error) {
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(have), now); err != nil {
		return "", err
	}
	if now.UID != have.UID || now.ResourceVersion != have.ResourceVersion {
		return have.ResourceVersion, nil // The write meets a conflict.
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(now, sets.New(string(fieldOwner)), string(fieldOwner))
	if err != nil || len(patch) == 0 {
		return have.ResourceVersion, err
	}
	if err := r.Client.Patch(ctx, now, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return "", err
	}
	return now.ResourceVersion, nil
}

func (w *world) desiredSecret() (*corev1.Secret, error) {
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
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.object.Namespace, Name: spec.TokenSecretName(w.object),
			Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{kube.OwnerReference(w.object, kind)},
		},
		Type: v1alpha1.SecretTypeToken, Data: data,
	}, nil
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
func (w *world) secretUpToDate(want *corev1.Secret) bool {
	return maps.EqualFunc(w.secret.Data, want.Data, bytes.Equal) && w.marksUpToDate(want)
}

// onlyValuesDiffer says whether the Secret is as it shall be but for what its entries hold.
func (w *world) onlyValuesDiffer(want *corev1.Secret) bool {
	return maps.EqualFunc(w.secret.Data, want.Data, func(_, _ []byte) bool { return true }) && w.marksUpToDate(want)
}

func (w *world) marksUpToDate(want *corev1.Secret) bool {
	have := w.secret
	return w.object.Status.ObservedGeneration == w.object.Generation && have.Type == want.Type &&
		holds(have.Labels, want.Labels) && holds(have.Annotations, want.Annotations) && metav1.IsControlledBy(have, w.object)
}

func holds(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}
