package webhook

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// tokenClients judges TokenClients: by their key's policy, as far as it does not depend on what they ask for.
type tokenClients struct{ *world }

// +kubebuilder:webhook:path=/validate-keyturn-dev-v1alpha1-tokenclient,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=keyturn.dev,versions=v1alpha1,resources=tokenclients,verbs=create;update,name=tokenclient.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","matchConditions":[{"name":"the-spec-is-new","expression":"request.operation == 'CREATE' || object.spec != oldObject.spec"}]}`

// ValidateCreate judges a new TokenClient. A key that is not there yet is no fault: whoever applies a folder of objects does not
// choose their order.
func (h *tokenClients) ValidateCreate(ctx context.Context, t *v1alpha1.TokenClient) (admission.Warnings, error) {
	if tooMany := tooLong(list{"audiences", len(t.Spec.Audiences), 16}, list{"scopes", len(t.Spec.Scopes), 64}, list{"claims", len(t.Spec.Claims), 32}); tooMany != nil {
		return nil, invalid("TokenClient", t.Name, tooMany)
	}
	ref := spec.ClientKeyRef(t)
	key, err := h.signingKey(ctx, ref)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return admission.Warnings{h.missing("spec.signingKeyRef", ref, nothingIssued)}, invalid("TokenClient", t.Name, h.Permit.CheckClientAlone(t))
	}
	namespace, err := h.namespace(ctx, t.Namespace)
	if err != nil {
		return nil, err
	}
	asking := spec.Namespace{Name: t.Namespace, Labels: namespace.Labels}
	return nil, invalid("TokenClient", t.Name, h.Permit.CheckClient(key, asking, t, h.Clock.Now()))
}

// ValidateUpdate judges a new spec.
func (h *tokenClients) ValidateUpdate(ctx context.Context, old, t *v1alpha1.TokenClient) (admission.Warnings, error) {
	if equality.Semantic.DeepEqual(old.Spec, t.Spec) || !t.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return h.ValidateCreate(ctx, t)
}

// ValidateDelete allows every deletion.
func (h *tokenClients) ValidateDelete(context.Context, *v1alpha1.TokenClient) (admission.Warnings, error) {
	return nil, nil
}
