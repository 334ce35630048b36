package permit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientclaims"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

// CheckClientAlone checks what a TokenClient says without looking at its key.
func (c *Checker) CheckClientAlone(t *v1alpha1.TokenClient) field.ErrorList {
	path := field.NewPath("spec")
	refused := c.checkExpressions(t, path.Child("claims"))
	if d := spec.AccessTokenDuration(t); d < c.operator.MinimumDuration {
		refused = append(refused, field.Invalid(path.Child("accessTokenDuration"), d.String(),
			fmt.Sprintf("must be at least %s, the operator's --minimum-duration: lengthen it", c.operator.MinimumDuration)))
	}
	authentication := path.Child("authentication")
	if accounts := t.Spec.Authentication.ServiceAccounts; accounts != nil {
		refused = append(refused, metav1validation.ValidateLabelSelector(accounts.Selector, metav1validation.LabelSelectorValidationOptions{},
			authentication.Child("serviceAccounts", "selector"))...)
	}
	return append(refused, checkPrivateKeyJWT(t.Spec.Authentication.PrivateKeyJWT, authentication.Child("privateKeyJWT"))...)
}

// CheckClient says why a key's policy refuses whatever a TokenClient could ask for now. What depends on the request, on who asks
// or on an expression is judged when it is known, by CheckIssue.
func (c *Checker) CheckClient(key *v1alpha1.SigningKey, ns spec.Namespace, t *v1alpha1.TokenClient, now time.Time) field.ErrorList {
	refused := c.CheckClientAlone(t)
	issuer, err := c.operator.Issuer(key)
	if err != nil {
		return append(refused, field.Forbidden(field.NewPath("spec", "signingKeyRef"),
			fmt.Sprintf("read issuer of SigningKey %s/%s: %v", key.Namespace, key.Name, err)))
	}
	refused = append(refused, checkDuration(key, field.NewPath("spec", "accessTokenDuration"), spec.AccessTokenDuration(t))...)
	refused = append(refused, checkNamespace(key, ns)...)
	rules, fault := c.rulesOf(key)
	if fault != nil {
		return append(refused, fault)
	}
	if len(refused) > 0 {
		return refused
	}
	known, unknown := foresee(t, issuer, c.operator.Policy(key).Skew)
	if err := rules.CheckKnown(known.Payload(sampleID, now.UTC().Truncate(time.Second)), unknown, ns); err != nil {
		return field.ErrorList{saysNo(key, err)}
	}
	return nil
}

// checkExpressions says which claims cannot be made.
func (c *Checker) checkExpressions(t *v1alpha1.TokenClient, path *field.Path) field.ErrorList {
	_, err := c.claims.Compile(t.Spec.Claims)
	if err == nil {
		return nil
	}
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return field.ErrorList{field.Forbidden(path, err.Error())}
	}
	var refused field.ErrorList
	for _, fault := range several.Unwrap() {
		one, ok := errors.AsType[*clientclaims.CompileError](fault)
		switch {
		case !ok:
			refused = append(refused, field.Forbidden(path, fault.Error()))
		case one.Fault == nil:
			refused = append(refused, field.Invalid(path.Index(one.Index).Child("name"), short(one.Name), one.Detail()))
		default:
			text := t.Spec.Claims[one.Index].Expression
			refused = append(refused, field.Invalid(path.Index(one.Index).Child("expression"), short(text), one.Detail()))
		}
	}
	return refused
}

func checkPrivateKeyJWT(keys *v1alpha1.PrivateKeyJWTAuthentication, path *field.Path) field.ErrorList {
	if keys == nil {
		return nil
	}
	var refused field.ErrorList
	if keys.JWKS != "" {
		if err := jose.CheckClientKeySet([]byte(keys.JWKS)); err != nil {
			refused = append(refused, field.Forbidden(path.Child("jwks"),
				fmt.Sprintf("must be a JWK Set (RFC 7517) of 1 to %d public keys, each with a kid of its own: %v", jose.MaxClientKeys, err)))
		}
	}
	if keys.CABundle != "" {
		if _, err := spec.ParseCABundle(keys.CABundle); err != nil {
			refused = append(refused, field.Forbidden(path.Child("caBundle"), err.Error()))
		}
	}
	return refused
}

// foresee is the token of a request for everything, and the names of the claims that can be otherwise.
func foresee(t *v1alpha1.TokenClient, issuer string, skew time.Duration) (known token.Request, unknown []string) {
	known = token.Request{
		Issuer: issuer, Subject: spec.ClientSubject(t.Namespace, t.Name), Type: token.TypeAccessToken,
		Claims: map[string]any{"client_id": spec.ClientID(t.Namespace, t.Name)}, Duration: spec.AccessTokenDuration(t), Skew: skew,
	}
	for _, audience := range t.Spec.Audiences {
		known.Audiences = append(known.Audiences, string(audience))
	}
	var scopes []string
	for _, scope := range t.Spec.Scopes {
		scopes = append(scopes, string(scope))
	}
	if len(scopes) > 0 {
		known.Claims["scope"] = strings.Join(scopes, " ")
	}
	if len(known.Audiences) > 1 {
		unknown = append(unknown, "aud")
	}
	if len(scopes) > 1 {
		unknown = append(unknown, "scope")
	}
	if accounts := t.Spec.Authentication.ServiceAccounts; accounts != nil {
		if len(accounts.Names) == 1 {
			known.Subject = spec.ServiceAccountSubject(t.Namespace, string(accounts.Names[0]))
		} else {
			unknown = append(unknown, "sub")
		}
	}
	if spec.Grants(t, v1alpha1.GrantTokenExchange) {
		unknown = append(unknown, "sub", "act", "scope", "iat", "nbf", "exp")
	}
	for _, claim := range t.Spec.Claims {
		unknown = append(unknown, claim.Name)
	}
	return known, unknown
}
