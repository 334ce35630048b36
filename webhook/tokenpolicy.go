package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/expression"
	"github.com/keyturn/keyturn/internal/requestrules"
	"github.com/keyturn/keyturn/internal/spec"
)

// tokenPolicies judges TokenPolicies: whether the gate can evaluate them.
type tokenPolicies struct{ *world }

// +kubebuilder:webhook:path=/validate-keyturn-dev-v1alpha1-tokenpolicy,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=keyturn.dev,versions=v1alpha1,resources=tokenpolicies,verbs=create;update,name=tokenpolicy.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","matchConditions":[{"name":"the-spec-is-new","expression":"request.operation == 'CREATE' || object.spec != oldObject.spec"}]}`

// ValidateCreate judges a new TokenPolicy. A key that is not there yet is no fault: whoever applies a folder of objects does not
// choose their order.
func (h *tokenPolicies) ValidateCreate(ctx context.Context, p *v1alpha1.TokenPolicy) (admission.Warnings, error) {
	if tooMany := tooLong(list{"issuers", len(p.Spec.Issuers), 8}, list{"headers", len(p.Spec.Headers), 16}); tooMany != nil {
		return nil, invalid("TokenPolicy", p.Name, tooMany)
	}
	faults, warnings, err := h.checkIssuers(ctx, p)
	if err != nil {
		return nil, err
	}
	faults = append(faults, checkRequestRules(p)...)
	return warnings, invalid("TokenPolicy", p.Name, append(faults, checkHeaders(p)...))
}

// ValidateUpdate judges a new spec.
func (h *tokenPolicies) ValidateUpdate(ctx context.Context, old, p *v1alpha1.TokenPolicy) (admission.Warnings, error) {
	if equality.Semantic.DeepEqual(old.Spec, p.Spec) || !p.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return h.ValidateCreate(ctx, p)
}

// ValidateDelete allows every deletion.
func (h *tokenPolicies) ValidateDelete(context.Context, *v1alpha1.TokenPolicy) (admission.Warnings, error) {
	return nil, nil
}

// checkIssuers finds issuers that are there twice, and those elsewhere that cannot be asked.
func (h *tokenPolicies) checkIssuers(ctx context.Context, p *v1alpha1.TokenPolicy) (faults field.ErrorList, warnings admission.Warnings, err error) {
	seen := map[string]bool{}
	for i, issuer := range p.Spec.Issuers {
		path := field.NewPath("spec", "issuers").Index(i)
		name, at := "", path.Child("external", "issuer")
		if ref, ours := spec.PolicyKeyRef(p, issuer); ours {
			at = path.Child("signingKeyRef")
			var missing string
			if name, missing, err = h.issuerOf(ctx, at, ref); err != nil {
				return nil, nil, err
			}
			if missing != "" {
				warnings = append(warnings, missing)
			}
		} else if issuer.External != nil {
			name = issuer.External.Issuer
			faults = append(faults, checkExternal(issuer.External, path.Child("external"))...)
		}
		if seen[name] {
			faults = append(faults, field.Forbidden(at, fmt.Sprintf("issuer %.256q is there already: remove one, because a token has one issuer", name)))
		}
		seen[name] = true
	}
	return faults, warnings, nil
}

// issuerOf is the issuer of a SigningKey. For one that has none, or is not there, it is the key's own name, which no issuer has,
// and why.
func (h *tokenPolicies) issuerOf(ctx context.Context, path *field.Path, ref types.NamespacedName) (issuer, missing string, err error) {
	key, err := h.signingKey(ctx, ref)
	if err != nil {
		return "", "", err
	}
	nameless := "SigningKey " + ref.String()
	if key == nil {
		return nameless, h.missing(path.String(), ref, "so no token of it is accepted"), nil
	}
	if issuer, err = h.Operator.Issuer(key); err != nil {
		return nameless, fmt.Sprintf("%s: %s has no issuer, so no token of it is accepted: %v", path, nameless, err), nil
	}
	return issuer, "", nil
}

func checkExternal(e *v1alpha1.ExternalIssuer, path *field.Path) field.ErrorList {
	var faults field.ErrorList
	if e.JWKSURL == "" && !isDiscoverable(e.Issuer) {
		faults = append(faults, field.Invalid(path.Child("issuer"), short(e.Issuer),
			"must be an https URL without user, query and fragment, because the keys are looked for below it: correct it, or set jwksURL"))
	}
	if e.CABundle != "" {
		if _, err := spec.ParseCABundle(e.CABundle); err != nil {
			faults = append(faults, field.Forbidden(path.Child("caBundle"), err.Error()))
		}
	}
	return faults
}

// isDiscoverable says whether an issuer can have a configuration document (OpenID Connect Discovery section 3).
func isDiscoverable(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && !strings.ContainsAny(issuer, "?#")
}

func checkRequestRules(p *v1alpha1.TokenPolicy) field.ErrorList {
	_, err := requestrules.Compile(p.Spec.Rules)
	if err == nil {
		return nil
	}
	path := field.NewPath("spec", "rules")
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return field.ErrorList{field.Forbidden(path, err.Error())}
	}
	var faults field.ErrorList
	for _, fault := range several.Unwrap() {
		if one, ok := errors.AsType[*expression.CompileError](fault); ok {
			text := p.Spec.Rules[one.Index].Expression
			faults = append(faults, field.Invalid(path.Index(one.Index).Child("expression"), short(text), one.Fault.Error()))
		}
	}
	return faults
}

// checkHeaders finds headers that are there twice: HTTP tells no case apart (RFC 9110 section 5.1), the API server does.
func checkHeaders(p *v1alpha1.TokenPolicy) field.ErrorList {
	var faults field.ErrorList
	seen := map[string]bool{}
	for i, header := range p.Spec.Headers {
		name := strings.ToLower(header.Name)
		if seen[name] {
			faults = append(faults, field.Duplicate(field.NewPath("spec", "headers").Index(i).Child("name"), header.Name))
		}
		seen[name] = true
	}
	return faults
}
