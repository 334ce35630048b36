package webhook

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// signingKeys judges SigningKeys: whether their spec can work, and whether they can go.
type signingKeys struct{ *world }

// +kubebuilder:webhook:path=/validate-keyturn-dev-v1alpha1-signingkey,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=keyturn.dev,versions=v1alpha1,resources=signingkeys,verbs=create;update;delete,name=signingkey.keyturn.dev,admissionReviewVersions=v1,serviceName=keyturn-webhook,serviceNamespace=keyturn-system,servicePort=443,patch=`{"matchPolicy":"Equivalent","matchConditions":[{"name":"the-spec-is-new","expression":"request.operation != 'UPDATE' || object.spec != oldObject.spec"},{"name":"nobody-waits-for-it-to-go","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller','system:serviceaccount:kube-system:generic-garbage-collector','system:kube-controller-manager'])"},{"name":"its-end-is-not-forced","expression":"request.operation != 'DELETE' || oldObject.metadata.?annotations[?'keyturn.dev/force-delete'].orValue('') != 'true'"}]}`

// ValidateCreate judges a new SigningKey.
func (h *signingKeys) ValidateCreate(ctx context.Context, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	if err := invalid("SigningKey", key.Name, h.faults(key)); err != nil {
		return nil, err
	}
	rival, err := h.warnOfRival(ctx, key)
	if err != nil {
		return nil, err
	}
	reach, err := h.warnOfReach(ctx, key)
	return slices.Concat(rival, reach, h.warnOfOldSets(key)), err
}

// ValidateUpdate judges a new spec by what is new in it. A fault that was there before, because the operator's flags have
// changed since, does not keep anybody from revoking a key: it is a warning.
func (h *signingKeys) ValidateUpdate(ctx context.Context, old, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	if equality.Semantic.DeepEqual(old.Spec, key.Spec) || !key.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	before := h.faults(old)
	var faults field.ErrorList
	var warnings admission.Warnings
	for _, fault := range h.faults(key) {
		if slices.ContainsFunc(before, func(b *field.Error) bool { return b.Error() == fault.Error() }) {
			warnings = append(warnings, fault.Error())
			continue
		}
		faults = append(faults, fault)
	}
	if err := invalid("SigningKey", key.Name, faults); err != nil {
		return warnings, err
	}
	if name := spec.JWKSName(old); name != spec.JWKSName(key) {
		warnings = append(warnings, fmt.Sprintf("spec.jwks.name: ConfigMap %s is removed with all its copies: whoever mounts it must mount %s", name, spec.JWKSName(key)))
	}
	if !equality.Semantic.DeepEqual(old.Spec.Rotation, key.Spec.Rotation) {
		warnings = append(warnings, h.warnOfOldSets(key)...)
	}
	shortened, err := h.warnOfShortening(ctx, old, key)
	if warnings = append(warnings, shortened...); err != nil || equality.Semantic.DeepEqual(old.Spec.JWKS.Namespaces, key.Spec.JWKS.Namespaces) {
		return warnings, err
	}
	reach, err := h.warnOfReach(ctx, key)
	return append(warnings, reach...), err
}

// faults are what is wrong with a spec, whatever else there is in the cluster.
func (h *signingKeys) faults(key *v1alpha1.SigningKey) field.ErrorList {
	var faults field.ErrorList
	path := field.NewPath("spec")
	if _, err := h.Operator.Issuer(key); err != nil {
		faults = append(faults, field.Required(path.Child("issuer"), err.Error()))
	}
	policy := h.Operator.Policy(key)
	period := path.Child("rotation", "period")
	if err := policy.Check(); err != nil {
		faults = append(faults, field.Invalid(period, policy.Period.String(), err.Error()))
	}
	tooShort := fmt.Sprintf("must be at least %s, the operator's --minimum-duration: lengthen it", h.Operator.MinimumDuration)
	if policy.Period < h.Operator.MinimumDuration {
		faults = append(faults, field.Invalid(period, policy.Period.String(), tooShort))
	}
	if policy.LongestToken < h.Operator.MinimumDuration {
		faults = append(faults, field.Invalid(path.Child("tokens", "maxDuration"), policy.LongestToken.String(), tooShort))
	}
	faults = append(faults, h.Permit.CheckRules(key)...)
	return few(append(faults, checkSelectors(key, path)...))
}

func checkSelectors(key *v1alpha1.SigningKey, path *field.Path) field.ErrorList {
	var options metav1validation.LabelSelectorValidationOptions
	return append(
		metav1validation.ValidateLabelSelector(key.Spec.Tokens.AllowedNamespaces.Selector, options, path.Child("tokens", "allowedNamespaces", "selector")),
		metav1validation.ValidateLabelSelector(key.Spec.JWKS.Namespaces, options, path.Child("jwks", "namespaces"))...)
}

// warnOfRival says that another SigningKey has claimed the issuer first. It is no refusal: the other may be about to go.
func (h *signingKeys) warnOfRival(ctx context.Context, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	issuer, err := h.Operator.Issuer(key)
	if err != nil {
		return nil, err
	}
	rivals, err := h.claimants(ctx, issuer)
	if err != nil {
		return nil, err
	}
	for i := range rivals {
		if r := &rivals[i]; r.Namespace != key.Namespace || r.Name != key.Name {
			return admission.Warnings{fmt.Sprintf("spec.issuer: SigningKey %s/%s claims the same issuer and is older: this one signs nothing while that one is there", r.Namespace, r.Name)}, nil
		}
	}
	return nil, nil
}

// warnOfOldSets says that a set fetched from a replica can be older than the wait for verifiers allows for.
func (h *signingKeys) warnOfOldSets(key *v1alpha1.SigningKey) admission.Warnings {
	policy, oldest := h.Operator.Policy(key), h.Operator.LongestView()
	if policy.Propagation+policy.Skew >= oldest {
		return nil
	}
	return admission.Warnings{fmt.Sprintf("spec.rotation: propagationDelay %s and clockSkew %s are together shorter than the %s by which a JWKS "+
		"that is fetched over HTTPS can be behind: lengthen one, unless every verifier mounts the JWKS or heeds its Cache-Control",
		policy.Propagation, policy.Skew, oldest)}
}

// warnOfShortening counts the ServiceTokens and TokenClients that a shorter maxDuration leaves without a new token.
func (h *signingKeys) warnOfShortening(ctx context.Context, old, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	longest := spec.MaxDuration(key)
	if longest >= spec.MaxDuration(old) {
		return nil, nil
	}
	tokens, err := h.dependents(ctx, key)
	if err != nil {
		return nil, err
	}
	clients, err := h.clients(ctx, key)
	if err != nil {
		return nil, err
	}
	var over, refused []string
	for i := range tokens {
		if spec.Duration(&tokens[i]) > longest {
			over = append(over, tokens[i].Namespace+"/"+tokens[i].Name)
		}
	}
	for i := range clients {
		if spec.AccessTokenDuration(&clients[i]) > longest {
			refused = append(refused, clients[i].Namespace+"/"+clients[i].Name)
		}
	}
	var warnings admission.Warnings
	if len(over) > 0 {
		warnings = append(warnings, fmt.Sprintf("spec.tokens.maxDuration: %s more than %s and will not be issued again: %s",
			count(len(over), "ServiceToken asks for", "ServiceTokens ask for"), longest, some(over)))
	}
	if len(refused) > 0 {
		warnings = append(warnings, fmt.Sprintf("spec.tokens.maxDuration: %s more than %s and will get no token: %s",
			count(len(refused), "TokenClient asks for", "TokenClients ask for"), longest, some(refused)))
	}
	return warnings, nil
}

// count writes a number with its noun and verb.
func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// namesOf are the names of objects, with their namespaces.
func namesOf[T any, P interface {
	*T
	client.Object
}](objects []T) []string {
	names := make([]string, 0, len(objects))
	for i := range objects {
		names = append(names, client.ObjectKeyFromObject(P(&objects[i])).String())
	}
	return names
}

// some names the first of several objects.
func some(names []string) string {
	const most = 3
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}
