package webhook

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/spec"
)

// tokenRevocations judges TokenRevocations: whether they mean what is there, and whether they can go. Their spec never changes.
type tokenRevocations struct{ *world }

// +kubebuilder:webhook:path=/validate-keyturn-dev-v1alpha1-tokenrevocation,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=keyturn.dev,versions=v1alpha1,resources=tokenrevocations,verbs=create;delete,name=tokenrevocation.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","matchConditions":[{"name":"nobody-waits-for-it-to-go","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller','system:serviceaccount:kube-system:generic-garbage-collector','system:kube-controller-manager'])"},{"name":"its-end-is-not-forced","expression":"request.operation != 'DELETE' || oldObject.metadata.?annotations[?'keyturn.dev/force-delete'].orValue('') != 'true'"}]}`

// ValidateCreate judges a new TokenRevocation. One that comes before its key, as from a backup, is in force as soon as that is
// there.
func (h *tokenRevocations) ValidateCreate(ctx context.Context, r *v1alpha1.TokenRevocation) (admission.Warnings, error) {
	ref := spec.RevokedKey(r)
	key, err := h.signingKey(ctx, ref)
	if err != nil {
		return nil, err
	}
	var warnings admission.Warnings
	if key == nil {
		warnings = append(warnings, h.missing("spec.signingKeyName", ref, "so nothing is taken back"))
		key = &v1alpha1.SigningKey{}
	}
	if err := invalid("TokenRevocation", r.Name, h.checkInstant(r, key)); err != nil {
		return warnings, err
	}
	if key.Name == "" || r.Spec.KeyID == "" {
		return warnings, nil
	}
	keyID, err := h.warnOfKeyID(ctx, string(r.Spec.KeyID), key)
	return append(warnings, keyID...), err
}

// checkInstant refuses to take back tokens that are still to be issued. Clocks may differ as far as the key allows for.
func (h *tokenRevocations) checkInstant(r *v1alpha1.TokenRevocation, key *v1alpha1.SigningKey) field.ErrorList {
	now, skew := h.Clock.Now().UTC(), h.Operator.Policy(key).Skew
	if r.Spec.IssuedBefore == nil || !r.Spec.IssuedBefore.After(now.Add(skew)) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "issuedBefore"), r.Spec.IssuedBefore.UTC().Format(time.RFC3339), fmt.Sprintf(
		"must be at most %s, spec.rotation.clockSkew of the SigningKey, in the future, and it is %s: leave it out for every token that was issued until now",
		skew, now.Format(time.RFC3339)))}
}

// warnOfKeyID says what a revocation by key ID does not do.
func (h *tokenRevocations) warnOfKeyID(ctx context.Context, id string, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	name := key.Namespace + "/" + key.Name
	if spec.IsRevoked(key, id) {
		return admission.Warnings{fmt.Sprintf("spec.keyID: SigningKey %s has revoked key %s itself, so that nothing it has signed is accepted in any case", name, id)}, nil
	}
	keys, err := h.keysOf(ctx, key)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(keys.Ring.Keys, func(k rotation.Key) bool { return k.ID == id }) {
		return admission.Warnings{fmt.Sprintf("spec.keyID: SigningKey %s publishes no key %s, so that it concerns no token that verifies: its keys are in status.keys", name, id)}, nil
	}
	return admission.Warnings{fmt.Sprintf("spec.keyID: key %s goes on as before, and servers that know nothing but the JWKS accept what it has signed: "+
		"if it is compromised, add it to spec.revokedKeyIDs of SigningKey %s instead", id, name)}, nil
}

// ValidateUpdate allows every update: the API server refuses another spec.
func (h *tokenRevocations) ValidateUpdate(context.Context, *v1alpha1.TokenRevocation, *v1alpha1.TokenRevocation) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete refuses to let a TokenRevocation go while a token that it takes back could be alive: it would be good again.
// Whoever says so by annotation may do it, and neither the end of a namespace nor that of the key waits for anything.
func (h *tokenRevocations) ValidateDelete(ctx context.Context, r *v1alpha1.TokenRevocation) (admission.Warnings, error) {
	last := r.Status.ExpiresAt
	if last == nil || !last.After(h.Clock.Now()) || r.Annotations[v1alpha1.AnnotationForceDelete] == "true" || !r.DeletionTimestamp.IsZero() || isCleaner(ctx) {
		return nil, nil
	}
	if ending, err := h.isEnding(ctx, r.Namespace); err != nil || ending {
		return nil, err
	}
	if gone, err := h.keyIsGone(ctx, spec.RevokedKey(r)); err != nil || gone {
		return nil, err
	}
	forbidden := apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("tokenrevocations").GroupResource(), r.Name, fmt.Errorf(
		"tokens that it takes back would be accepted again, the last until %s: wait, or annotate the TokenRevocation with %s=true",
		last.UTC().Format(time.RFC3339), v1alpha1.AnnotationForceDelete))
	return nil, &refusal{error: forbidden, reason: reasonTokenAlive}
}

// keyIsGone says whether there is no SigningKey any more, by the API server's own word: the cache may not have heard yet.
func (h *tokenRevocations) keyIsGone(ctx context.Context, name client.ObjectKey) (bool, error) {
	if !h.Operator.Watches(name.Namespace) {
		return true, nil
	}
	err := h.APIReader.Get(ctx, name, &v1alpha1.SigningKey{})
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read SigningKey %s: %w", name, err)
	}
	return err != nil, nil
}
