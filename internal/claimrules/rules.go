package claimrules

import (
	"cmp"
	"errors"

	"github.com/google/cel-go/cel"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/expression"
	"github.com/keyturn/keyturn/internal/spec"
)

const (
	subjectClaim = "sub"
	clientClaim  = "client_id"
)

// Rules are compiled. They are immutable and safe for concurrent use; the zero value allows everything.
type Rules struct {
	rules expression.Rules
}

// Compile compiles every rule, or returns the [expression.CompileError] of each that does not compile, joined.
func Compile(rules []v1alpha1.TokenRule) (*Rules, error) {
	if len(rules) == 0 {
		return &Rules{}, nil
	}
	env, err := newEnvironment()
	if err != nil {
		return nil, err
	}
	var renamed []expression.Rule
	for _, r := range rules {
		renamed = append(renamed, expression.Rule{Expression: nameNamespace(r.Expression), Message: cmp.Or(r.Message, r.Expression)})
	}
	compiled, err := env.CompileRules(renamed)
	if err != nil {
		return nil, inPlainWords(err)
	}
	return &Rules{rules: *compiled}, nil
}

// inPlainWords lets faults speak of the expressions as they were written.
func inPlainWords(err error) error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, one := range several.Unwrap() {
			if fault, ok := errors.AsType[*expression.CompileError](one); ok {
				fault.Fault.Cause = plainWords(fault.Fault.Cause)
			}
		}
	}
	return err
}

// SpeakOfSubject says whether a rule reads the claim sub by its name: then the rules decide who may be the subject.
func (r *Rules) SpeakOfSubject() bool { return r.rules.Reads(claimsVariable, subjectClaim) }

// SpeakOfClient is SpeakOfSubject for the claim client_id: then the rules decide which client a token can be of.
func (r *Rules) SpeakOfClient() bool { return r.rules.Reads(claimsVariable, clientClaim) }

// Len is how many rules there are.
func (r *Rules) Len() int { return r.rules.Len() }

// Check evaluates every rule on the claims as they will be signed and on the namespace that asks. It returns the
// [expression.RefusalError] of the first rule that is not true. Rules that cannot be evaluated, for want of a claim, say no.
func (r *Rules) Check(claims map[string]any, ns spec.Namespace) error {
	if r.rules.Len() == 0 {
		return nil
	}
	input, err := bind(claims, ns)
	if err != nil {
		return err
	}
	return r.rules.Check(input)
}

// CheckKnown is Check while some claims are not known yet, by their names: it refuses what no value of theirs would allow.
func (r *Rules) CheckKnown(claims map[string]any, unknown []string, ns spec.Namespace) error {
	if r.rules.Len() == 0 {
		return nil
	}
	input, err := bind(claims, ns)
	if err != nil {
		return err
	}
	var patterns []*cel.AttributePatternType
	for _, name := range unknown {
		patterns = append(patterns, cel.AttributePattern(claimsVariable).QualString(name))
	}
	partial, err := cel.PartialVars(input, patterns...)
	if err != nil {
		return err
	}
	return r.rules.Check(partial)
}

// bind makes the variables of one evaluation.
func bind(claims map[string]any, ns spec.Namespace) (map[string]any, error) {
	values, err := expression.Values(claims)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		claimsVariable:  values,
		namespaceInside: Namespace{Name: ns.Name, Labels: ns.Labels},
	}, nil
}
