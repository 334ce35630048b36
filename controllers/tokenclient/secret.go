package tokenclient

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// keepSecret decides what the Secret shall hold, and writes it where it does not.
func (r *Reconciler) keepSecret(ctx context.Context, w *world) error {
	switch {
	case spec.ClientSecretName(w.object) == "", w.foreign:
		return nil
	case w.keeper == clientsecret.User:
		if w.content.IsPreviousValid(r.Clock.Now()) {
			w.next = w.content.PreviousExpiry
		}
		if w.content.Problem != "" {
			w.block(kube.Problemf(v1alpha1.ReasonSecretInvalid, "Secret %s: %s %s",
				w.secret.Name, v1alpha1.SecretKeyClientSecret, w.content.Problem))
		}
		return nil
	case w.secret == nil && w.endpoint == "":
		return nil // A Secret that does not say where to ask is no use yet.
	}
	d := decide(w.situation(), r.Clock.Now(), clientsecret.Generate)
	w.next = d.next
	if want := w.desiredSecret(d.content); !equality.Semantic.DeepEqual(w.secret, want) {
		if err := r.writeSecret(ctx, w, want); err != nil {
			return err
		}
		w.cause = d.cause
	}
	w.content = d.content
	return nil
}

func (w *world) situation() situation {
	return situation{
		found: w.secret != nil, content: w.content,
		known:   w.object.Status.SecretName == spec.ClientSecretName(w.object),
		request: spec.ClientRotateRequest(w.object), overlap: spec.SecretOverlap(w.object),
	}
}

// desiredSecret is the Secret that holds the content, made from the one that was read, if there was one.
func (w *world) desiredSecret(content clientsecret.Content) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.object.Namespace, Name: spec.ClientSecretName(w.object)}}
	endpoint := []byte(w.endpoint)
	if w.secret != nil {
		secret = w.secret.DeepCopy()
	}
	if known := secret.Data[v1alpha1.SecretKeyTokenEndpoint]; w.endpoint == "" && len(known) > 0 {
		endpoint = known // Whoever mounts it keeps it while the SigningKey is away.
	}
	secret.Type = v1alpha1.SecretTypeClientSecret
	secret.Labels = with(secret.Labels, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy)
	secret.Labels = with(secret.Labels, v1alpha1.LabelTokenClient, w.object.Name)
	secret.Annotations = with(secret.Annotations, v1alpha1.AnnotationRotateRequestedAt, content.Answered)
	secret.OwnerReferences = []metav1.OwnerReference{kube.OwnerReference(w.object, kind)}
	secret.Data = map[string][]byte{
		v1alpha1.SecretKeyClientID:      []byte(spec.ClientID(w.object.Namespace, w.object.Name)),
		v1alpha1.SecretKeyClientSecret:  []byte(content.Current.Reveal()),
		v1alpha1.SecretKeyTokenEndpoint: endpoint,
	}
	delete(secret.Annotations, v1alpha1.AnnotationPreviousSecretExpiresAt)
	if !content.Previous.IsZero() {
		secret.Data[v1alpha1.SecretKeyPreviousClientSecret] = []byte(content.Previous.Reveal())
		secret.Annotations[v1alpha1.AnnotationPreviousSecretExpiresAt] = content.PreviousExpiry.UTC().Format(time.RFC3339)
	}
	return secret
}

func with(marks map[string]string, name, value string) map[string]string {
	if marks == nil {
		marks = map[string]string{}
	}
	marks[name] = value
	return marks
}

// writeSecret replaces the Secret that the decision was made from, under its resourceVersion, or creates it where there was none.
func (r *Reconciler) writeSecret(ctx context.Context, w *world, want *corev1.Secret) error {
	var err error
	if w.secret == nil {
		err = r.Client.Create(ctx, want, fieldOwner)
	} else {
		err = r.Client.Update(ctx, want, fieldOwner)
	}
	switch {
	case err == nil:
		r.secrets.Remember(want.UID, want.ResourceVersion, struct{}{})
		w.secret = want
		return nil
	case kube.IsRefused(err):
		w.retry = true
		return kube.Problemf(v1alpha1.ReasonSecretConflict, "Secret %s cannot be written (%s): if it is immutable, delete it",
			want.Name, apierrors.ReasonForError(err))
	default:
		return fmt.Errorf("write Secret %s: %w", want.Name, err)
	}
}

// removeLeftovers deletes Secrets of Keyturn's making that no client is proved by any more.
func (r *Reconciler) removeLeftovers(ctx context.Context, w *world) error {
	for i := range w.leftovers {
		left := &w.leftovers[i]
		err := r.Client.Delete(ctx, left, client.Preconditions{UID: &left.UID, ResourceVersion: &left.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Secret %s: %w", left.Name, err)
		}
	}
	return nil
}
