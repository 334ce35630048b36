package webhook

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

// mostSecrets is how many Secrets of a Pod are judged: each may be a call to the API server, within the time of one review.
const mostSecrets = 64

// pods judges the tokens that new Pods mount, in namespaces that ask for it.
type pods struct{ *world }

// +kubebuilder:webhook:path=/validate-v1-pod,mutating=false,failurePolicy=ignore,sideEffects=None,timeoutSeconds=3,groups="",versions=v1,resources=pods,verbs=create,name=pod.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","namespaceSelector":{"matchLabels":{"keyturn.dev/verify-pods":"enabled"},"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","keyturn-system"]}]}}`

// ValidateCreate refuses a Pod that would start with an expired or revoked token. A Secret that cannot be read keeps no Pod
// from starting: the verifiers judge its token in any case.
func (h *pods) ValidateCreate(ctx context.Context, pod *corev1.Pod) (admission.Warnings, error) {
	var faults field.ErrorList
	var kind faultKind
	var warnings admission.Warnings
	judged := map[string]bool{}
	for _, use := range secretsOf(pod) {
		if use.name == "" || judged[use.name] {
			continue
		}
		if len(judged) == mostSecrets {
			warnings = append(warnings, fmt.Sprintf("%s: Secret %s and those after it are not judged: at most %d of a Pod are", use.path, use.name, mostSecrets))
			break
		}
		judged[use.name] = true
		wrong, err := h.judgeSecret(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: use.name})
		switch {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("%s: Secret %s could not be judged (%s)", use.path, use.name, apierrors.ReasonForError(err)))
		case wrong != nil:
			kind = wrong.kind
			faults = append(faults, field.Forbidden(use.path, fmt.Sprintf("the token in Secret %s %s: %s", use.name, wrong.text, advice)))
		}
	}
	if len(faults) == 0 {
		return warnings, nil
	}
	lenient, err := h.isLenient(ctx, pod.Namespace)
	if err != nil || !lenient {
		invalid := apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind(), nameOf(pod), faults)
		return warnings, &refusal{error: invalid, reason: kind.String()}
	}
	for _, wrong := range faults {
		warnings = append(warnings, wrong.Error())
	}
	return warnings, nil
}

// ValidateUpdate allows every update: what a Pod mounts cannot be changed.
func (h *pods) ValidateUpdate(context.Context, *corev1.Pod, *corev1.Pod) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete allows every deletion.
func (h *pods) ValidateDelete(context.Context, *corev1.Pod) (admission.Warnings, error) {
	return nil, nil
}

// judgeSecret says why the token in a Secret keeps a Pod from starting, or returns nil. Secrets with Keyturn's label come from the cache.
// Others are read from the API server one by one: a copy or a restored one is what expires, since nobody renews it.
func (h *pods) judgeSecret(ctx context.Context, name client.ObjectKey) (*fault, error) {
	secret := &corev1.Secret{}
	found, err := kube.Get(ctx, h.Reader, h.APIReader, name, secret)
	if err != nil || !found || !isCredential(secret) {
		return nil, err
	}
	compact, given := secret.Data[v1alpha1.SecretKeyToken]
	if !given {
		return nil, nil
	}
	wrong, err := h.judge(ctx, string(compact))
	if err != nil || wrong == nil || wrong.kind != expired && wrong.kind != revoked {
		return nil, err
	}
	return wrong, nil
}

// secretUse is where a Pod names a Secret.
type secretUse struct {
	path *field.Path
	name string
}

// secretsOf are the Secrets whose content a Pod's containers see.
func secretsOf(pod *corev1.Pod) []secretUse {
	var uses []secretUse
	path := field.NewPath("spec")
	for i := range pod.Spec.Volumes {
		uses = append(uses, secretsOfVolume(path.Child("volumes").Index(i), &pod.Spec.Volumes[i])...)
	}
	for i := range pod.Spec.InitContainers {
		uses = append(uses, secretsOfContainer(path.Child("initContainers").Index(i), &pod.Spec.InitContainers[i])...)
	}
	for i := range pod.Spec.Containers {
		uses = append(uses, secretsOfContainer(path.Child("containers").Index(i), &pod.Spec.Containers[i])...)
	}
	return uses
}

func secretsOfVolume(path *field.Path, volume *corev1.Volume) []secretUse {
	var uses []secretUse
	if volume.Secret != nil {
		uses = append(uses, secretUse{path.Child("secret", "secretName"), volume.Secret.SecretName})
	}
	if volume.Projected == nil {
		return uses
	}
	for i, source := range volume.Projected.Sources {
		if source.Secret != nil {
			uses = append(uses, secretUse{path.Child("projected", "sources").Index(i).Child("secret", "name"), source.Secret.Name})
		}
	}
	return uses
}

func secretsOfContainer(path *field.Path, container *corev1.Container) []secretUse {
	var uses []secretUse
	for i, source := range container.EnvFrom {
		if source.SecretRef != nil {
			uses = append(uses, secretUse{path.Child("envFrom").Index(i).Child("secretRef", "name"), source.SecretRef.Name})
		}
	}
	for i, variable := range container.Env {
		if variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
			uses = append(uses, secretUse{path.Child("env").Index(i).Child("valueFrom", "secretKeyRef", "name"), variable.ValueFrom.SecretKeyRef.Name})
		}
	}
	return uses
}

// nameOf is the name of a Pod, or what it will begin with.
func nameOf(pod *corev1.Pod) string {
	if pod.Name != "" {
		return pod.Name
	}
	return pod.GenerateName
}
