// Package permit says whether a SigningKey's policy allows a token: that of a ServiceToken, or one that a TokenClient asks
// for. Admission, controllers and the token service ask it alike.
package permit

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/claimrules"
	"github.com/keyturn/keyturn/internal/clientclaims"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/expression"
	"github.com/keyturn/keyturn/internal/spec"
)

// Of how many SigningKeys the compiled rules are kept, and of how many TokenClients the claims.
const (
	cachedKeys    = 1024
	cachedClients = 1024
)

// Checker checks tokens. It is safe for concurrent use.
type Checker struct {
	operator spec.Operator
	rules    *claimrules.Cache
	claims   *clientclaims.Cache
}

// New makes a Checker for an operator that runs with these flags.
func New(operator spec.Operator) *Checker {
	return &Checker{operator: operator, rules: claimrules.NewCache(cachedKeys), claims: clientclaims.NewCache(cachedClients)}
}

// Claims are the compiled claims of a TokenClient, compiled once for the same expressions.
func (c *Checker) Claims(t *v1alpha1.TokenClient) (*clientclaims.Claims, error) {
	return c.claims.Compile(t.Spec.Claims)
}

// CheckRules says which rules of a key do not compile.
func (c *Checker) CheckRules(key *v1alpha1.SigningKey) field.ErrorList {
	_, err := c.rules.Compile(key.Spec.Tokens.Rules)
	if err == nil {
		return nil
	}
	path := field.NewPath("spec", "tokens", "rules")
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return field.ErrorList{field.Forbidden(path, err.Error())}
	}
	var faults field.ErrorList
	for _, fault := range several.Unwrap() {
		if one, ok := errors.AsType[*expression.CompileError](fault); ok {
			text := key.Spec.Tokens.Rules[one.Index].Expression
			faults = append(faults, field.Invalid(path.Index(one.Index).Child("expression"), short(text), one.Fault.Error()))
		}
	}
	return faults
}

// CheckAlone checks what a ServiceToken says without looking at its key.
func (c *Checker) CheckAlone(t *v1alpha1.ServiceToken) field.ErrorList {
	var refused field.ErrorList
	path := field.NewPath("spec")
	if t.Spec.Claims != nil {
		if _, err := token.ParseClaims(t.Spec.Claims.Raw); err != nil {
			refused = append(refused, field.Forbidden(path.Child("claims"), err.Error()))
		}
	}
	if d := spec.Duration(t); d < c.operator.MinimumDuration {
		refused = append(refused, field.Invalid(path.Child("duration"), d.String(),
			fmt.Sprintf("must be at least %s, the operator's --minimum-duration: lengthen it", c.operator.MinimumDuration)))
	}
	return append(refused, checkTemplate(t)...)
}

// Check says why a key's policy refuses a token that would be issued now, and what the token would be. The request is
// that of the ServiceToken also where it is refused, unless its claims or the key's issuer cannot be read. Messages name
// field, value, limit and what to do, and no claim's value.
func (c *Checker) Check(key *v1alpha1.SigningKey, ns spec.Namespace, t *v1alpha1.ServiceToken, now time.Time) (token.Request, field.ErrorList) {
	refused := c.CheckAlone(t)
	request, err := c.operator.Request(t, key)
	if err != nil {
		if len(refused) == 0 {
			refused = append(refused, field.Forbidden(field.NewPath("spec", "signingKeyRef"), err.Error()))
		}
		return request, refused
	}
	refused = append(refused, checkDuration(key, field.NewPath("spec", "duration"), spec.Duration(t))...)
	identity := func(rules *claimrules.Rules) (impersonates field.ErrorList) {
		if !rules.SpeakOfSubject() {
			impersonates = checkSubject(key, t)
		}
		if !rules.SpeakOfClient() {
			impersonates = append(impersonates, checkClientID(key, t, request)...)
		}
		return impersonates
	}
	return request, append(refused, c.judge(key, ns, request, identity, len(refused) > 0, now)...)
}

// judge says why a key's policy refuses a request. The identity is checked as far as no rule of the key speaks of it, and the rules
// where nothing is refused already.
func (c *Checker) judge(key *v1alpha1.SigningKey, ns spec.Namespace, request token.Request,
	identity func(*claimrules.Rules) field.ErrorList, already bool, now time.Time,
) field.ErrorList {
	refused := checkNamespace(key, ns)
	rules, fault := c.rulesOf(key)
	if fault != nil {
		return append(refused, fault)
	}
	refused = append(refused, identity(rules)...)
	if refused = append(refused, checkSize(request, now)...); already || len(refused) > 0 || rules.Len() == 0 {
		return refused
	}
	if err := rules.Check(request.Payload(sampleID, now.UTC().Truncate(time.Second)), ns); err != nil {
		return field.ErrorList{saysNo(key, err)}
	}
	return nil
}

func (c *Checker) rulesOf(key *v1alpha1.SigningKey) (*claimrules.Rules, *field.Error) {
	rules, err := c.rules.Compile(key.Spec.Tokens.Rules)
	if err != nil {
		return nil, field.Forbidden(field.NewPath("spec", "signingKeyRef"),
			fmt.Sprintf("SigningKey %s/%s: spec.tokens.rules: %v", key.Namespace, key.Name, err))
	}
	return rules, nil
}

func saysNo(key *v1alpha1.SigningKey, err error) *field.Error {
	return field.Forbidden(field.NewPath("spec"), fmt.Sprintf("SigningKey %s/%s does not sign this: %v", key.Namespace, key.Name, err))
}

func checkDuration(key *v1alpha1.SigningKey, path *field.Path, asked time.Duration) field.ErrorList {
	longest := spec.MaxDuration(key)
	if asked <= longest {
		return nil
	}
	return field.ErrorList{field.Invalid(path, asked.String(),
		fmt.Sprintf("must be at most %s, spec.tokens.maxDuration of SigningKey %s/%s: shorten it, or raise that", longest, key.Namespace, key.Name))}
}

func checkNamespace(key *v1alpha1.SigningKey, ns spec.Namespace) field.ErrorList {
	path := field.NewPath("spec", "signingKeyRef", "namespace")
	allowed, err := spec.Allows(key, ns)
	switch {
	case err != nil:
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf("SigningKey %s/%s: spec.tokens.allowedNamespaces: %v", key.Namespace, key.Name, err))}
	case !allowed:
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf("SigningKey %s/%s does not sign for namespace %s: "+
			"use a key that does, or let its owner allow it in spec.tokens.allowedNamespaces", key.Namespace, key.Name, ns.Name))}
	default:
		return nil
	}
}

// short keeps a value in a message readable.
func short(value string) string {
	const longest = 64
	runes := []rune(value)
	if len(runes) <= longest {
		return value
	}
	return string(runes[:longest-1]) + "…"
}
