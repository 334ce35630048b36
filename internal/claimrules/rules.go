package claimrules

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// The bounds of the rules of one key, as the API has them.
const (
	// MaxRules is the most rules a key has.
	MaxRules = 16
	// MaxExpressionBytes is the longest expression.
	MaxExpressionBytes = 1024
)

// Rules are compiled. They are immutable and safe for concurrent use; the zero value allows everything.
type Rules struct {
	rules   []rule
	subject bool
}

type rule struct {
	expression, message string
	program             cel.Program
}

// CompileError says why one rule does not compile.
type CompileError struct {
	// Index is the place of the rule, from 0.
	Index int
	// Line and Column are where in the expression the fault is, from 1; zero when it has no place.
	Line, Column int
	// Cause says what is wrong and what to do.
	Cause string
}

func (e *CompileError) Error() string {
	return fmt.Sprintf("rule %d: %s", e.Index, e.Detail())
}

// Detail is the error without the place of the rule.
func (e *CompileError) Detail() string {
	if e.Line == 0 {
		return e.Cause
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Cause)
}

// RefusalError says that a rule does not allow a token. It tells no claim's value.
type RefusalError struct {
	// Index is the place of the rule, from 0.
	Index int
	// Message is the rule's own, or its expression where it has none.
	Message string
	// Cause says why the rule could not be evaluated; empty when it was, and said no.
	Cause string
}

func (e *RefusalError) Error() string {
	if e.Cause != "" {
		return fmt.Sprintf("rule %d cannot be evaluated, because %s: %s", e.Index, e.Cause, e.Message)
	}
	return fmt.Sprintf("rule %d refuses it: %s", e.Index, e.Message)
}

// Compile compiles every rule, or returns the [CompileError] of each that does not compile, joined.
func Compile(rules []v1alpha1.TokenRule) (*Rules, error) {
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%d rules, at most %d are allowed: join some with &&", len(rules), MaxRules)
	}
	compiled := &Rules{}
	if len(rules) == 0 {
		return compiled, nil
	}
	env, err := newEnvironment()
	if err != nil {
		return nil, fmt.Errorf("make CEL environment: %w", err)
	}
	var faults []error
	for i, r := range rules {
		one, subject, fault := compile(env, r)
		if fault != nil {
			fault.Index = i
			faults = append(faults, fault)
			continue
		}
		compiled.rules = append(compiled.rules, one)
		compiled.subject = compiled.subject || subject
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return compiled, nil
}

func compile(env *cel.Env, r v1alpha1.TokenRule) (one rule, subject bool, fault *CompileError) {
	if len(r.Expression) > MaxExpressionBytes {
		return rule{}, false, &CompileError{Cause: fmt.Sprintf("the expression has %d bytes, at most %d are allowed: use several rules",
			len(r.Expression), MaxExpressionBytes)}
	}
	checked, issues := env.Compile(nameNamespace(r.Expression))
	if fault := firstIssue(issues); fault != nil {
		return rule{}, false, fault
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return rule{}, false, &CompileError{Cause: fmt.Sprintf("the expression must be a bool and is of type %s: compare it with something", t)}
	}
	if fault := checkBounds(checked.NativeRep()); fault != nil {
		return rule{}, false, fault
	}
	program, err := newProgram(env, checked)
	if err != nil {
		return rule{}, false, &CompileError{Cause: fmt.Sprintf("the expression cannot be planned: %v", err)}
	}
	one = rule{expression: r.Expression, message: cmp.Or(r.Message, r.Expression), program: program}
	return one, speaksOfSubject(checked.NativeRep()), nil
}

// firstIssue is where the compiler stumbled first; what follows is often only its consequence.
func firstIssue(issues *cel.Issues) *CompileError {
	if issues.Err() == nil {
		return nil
	}
	first := issues.Errors()[0]
	return &CompileError{Line: first.Location.Line(), Column: first.Location.Column() + 1, Cause: inPlainWords(first.Message)}
}

// SpeakOfSubject says whether a rule reads the claim sub by its name: then the rules decide who may be the subject.
func (r *Rules) SpeakOfSubject() bool { return r.subject }

// Check evaluates every rule on the claims as they will be signed and on the namespace that asks. It returns the
// [RefusalError] of the first rule that is not true. Rules that cannot be evaluated, for want of a claim, say no.
func (r *Rules) Check(claims map[string]any, ns spec.Namespace) error {
	if len(r.rules) == 0 {
		return nil
	}
	input, err := bind(claims, ns)
	if err != nil {
		return err
	}
	for i := range r.rules {
		if err := r.rules[i].check(input); err != nil {
			err.Index = i
			return err
		}
	}
	return nil
}

func (r *rule) check(input map[string]any) *RefusalError {
	result, _, err := r.program.Eval(input)
	if err != nil {
		return &RefusalError{Message: r.message, Cause: causeOf(err, r.expression)}
	}
	if allowed, ok := result.Value().(bool); !ok || !allowed {
		return &RefusalError{Message: r.message}
	}
	return nil
}
