package webhook

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// secrets judges the tokens that others than Keyturn put into Secrets.
type secrets struct{ *world }

// +kubebuilder:webhook:path=/validate-v1-secret-token,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups="",versions=v1,resources=secrets,verbs=create;update,name=secret.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","keyturn-system"]}]},"matchConditions":[{"name":"it-holds-a-token","expression":"object.?type.orValue('') == 'keyturn.dev/token' || object.metadata.?labels[?'keyturn.dev/token'].hasValue()"},{"name":"the-token-is-new","expression":"request.operation == 'CREATE' || object.?data[?'token'] != oldObject.?data[?'token']"},{"name":"keyturn-has-not-written-it","expression":"request.userInfo.username != 'system:serviceaccount:keyturn-system:keyturn'"}]}`

// ValidateCreate judges the token of a new Secret. A Secret without one is refused too: the label or the type promises one.
func (h *secrets) ValidateCreate(ctx context.Context, secret *corev1.Secret) (admission.Warnings, error) {
	if !isCredential(secret) {
		return nil, nil
	}
	path := field.NewPath("data").Key(v1alpha1.SecretKeyToken)
	compact, given := secret.Data[v1alpha1.SecretKeyToken]
	if !given {
		return h.refuse(ctx, secret, absent, field.Required(path, fmt.Sprintf("a Secret of type %s, or with the label %s, holds a token under this key",
			v1alpha1.SecretTypeToken, v1alpha1.LabelToken)))
	}
	wrong, err := h.judge(ctx, string(compact))
	if err != nil || wrong == nil {
		return nil, err
	}
	return h.refuse(ctx, secret, wrong.kind, field.Forbidden(path, fmt.Sprintf("the token %s: %s", wrong.text, advice)))
}

// ValidateUpdate judges a token that is new. Taking a token away brings in no credential.
func (h *secrets) ValidateUpdate(ctx context.Context, old, secret *corev1.Secret) (admission.Warnings, error) {
	compact, given := secret.Data[v1alpha1.SecretKeyToken]
	if !given || bytes.Equal(compact, old.Data[v1alpha1.SecretKeyToken]) || !secret.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return h.ValidateCreate(ctx, secret)
}

// ValidateDelete allows every deletion.
func (h *secrets) ValidateDelete(context.Context, *corev1.Secret) (admission.Warnings, error) {
	return nil, nil
}

// refuse refuses a Secret, or warns where its namespace asks for that.
func (h *secrets) refuse(ctx context.Context, secret *corev1.Secret, kind faultKind, wrong *field.Error) (admission.Warnings, error) {
	lenient, err := h.isLenient(ctx, secret.Namespace)
	if err != nil {
		return nil, err
	}
	if lenient {
		return admission.Warnings{wrong.Error()}, nil
	}
	invalid := apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Secret").GroupKind(), secret.Name, field.ErrorList{wrong})
	return nil, &refusal{error: invalid, reason: kind.String()}
}
