package webhook

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// serviceTokens judges ServiceTokens: by their key's policy, and by the clock.
type serviceTokens struct{ *world }

// +kubebuilder:webhook:path=/validate-keyturn-dev-v1alpha1-servicetoken,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=keyturn.dev,versions=v1alpha1,resources=servicetokens,verbs=create;update,name=servicetoken.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","matchConditions":[{"name":"the-spec-is-new","expression":"request.operation == 'CREATE' || object.spec != oldObject.spec"}]}`

// ValidateCreate judges a new ServiceToken.
func (h *serviceTokens) ValidateCreate(ctx context.Context, t *v1alpha1.ServiceToken) (admission.Warnings, error) {
	return h.judge(ctx, t, checkEnd(t, h.Clock.Now()))
}

// ValidateUpdate judges a new spec. An end that has passed is refused only when it is new.
func (h *serviceTokens) ValidateUpdate(ctx context.Context, old, t *v1alpha1.ServiceToken) (admission.Warnings, error) {
	if equality.Semantic.DeepEqual(old.Spec, t.Spec) || !t.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	if t.Spec.ExpiresAt.Equal(old.Spec.ExpiresAt) {
		return h.judge(ctx, t, nil)
	}
	return h.judge(ctx, t, checkEnd(t, h.Clock.Now()))
}

// ValidateDelete allows every deletion.
func (h *serviceTokens) ValidateDelete(context.Context, *v1alpha1.ServiceToken) (admission.Warnings, error) {
	return nil, nil
}

// judge adds what else is wrong. A key that is not there yet is no fault: whoever applies a folder of objects does not
// choose their order.
func (h *serviceTokens) judge(ctx context.Context, t *v1alpha1.ServiceToken, faults field.ErrorList) (admission.Warnings, error) {
	long := []list{{"audiences", len(t.Spec.Audiences), 16}}
	if t.Spec.SecretTemplate != nil {
		long = append(long, list{"secretTemplate.data", len(t.Spec.SecretTemplate.Data), 16})
	}
	if tooMany := tooLong(long...); tooMany != nil {
		return nil, invalid("ServiceToken", t.Name, tooMany)
	}
	faults = append(faults, checkRenewal(t)...)
	key, err := h.signingKey(ctx, spec.KeyRef(t))
	if err != nil {
		return nil, err
	}
	if key == nil {
		warnings := admission.Warnings{h.missing("spec.signingKeyRef", spec.KeyRef(t), nothingIssued)}
		return warnings, invalid("ServiceToken", t.Name, append(faults, h.Permit.CheckAlone(t)...))
	}
	namespace, err := h.namespace(ctx, t.Namespace)
	if err != nil {
		return nil, err
	}
	_, refused := h.Permit.Check(key, spec.Namespace{Name: t.Namespace, Labels: namespace.Labels}, t, h.Clock.Now())
	return nil, invalid("ServiceToken", t.Name, append(faults, refused...))
}

func checkEnd(t *v1alpha1.ServiceToken, now time.Time) field.ErrorList {
	if t.Spec.ExpiresAt == nil || t.Spec.ExpiresAt.After(now) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "expiresAt"), t.Spec.ExpiresAt.UTC().Format(time.RFC3339),
		fmt.Sprintf("must be in the future, and it is %s: to end the token now, delete the ServiceToken", now.UTC().Format(time.RFC3339)))}
}

// checkRenewal asks for a tenth of the token's life between two renewals: less is a Secret that never rests.
func checkRenewal(t *v1alpha1.ServiceToken) field.ErrorList {
	if t.Spec.RenewBefore == nil {
		return nil
	}
	life, before := spec.Duration(t), t.Spec.RenewBefore.Duration
	longest := (life - life/10).Truncate(time.Second)
	if before <= longest {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "renewBefore"), before.String(),
		fmt.Sprintf("leaves %s between renewals of a token that lives %s: must be at most %s, nine tenths of spec.duration",
			max(life-before, 0), life, longest))}
}

// invalid is the error of an object with these faults, or nil if there are none.
func invalid(kind, name string, faults field.ErrorList) error {
	if len(faults) == 0 {
		return nil
	}
	return &refusal{
		error:  apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind(kind).GroupKind(), name, few(faults)),
		reason: reasonOf(strings.ToLower(kind), faults[0].Field),
	}
}
