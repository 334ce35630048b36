package expression

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// MaxRules is the most rules that belong together, as the API has it.
const MaxRules = 16

// Rule is an expression that must be true.
type Rule struct {
	Expression string
	// Message is shown to whoever is refused; the expression where there is none.
	Message string
}

// Rules are compiled. They are immutable and safe for concurrent use; the zero value allows everything.
type Rules struct {
	rules []compiledRule
}

type compiledRule struct {
	message string
	program *Program
}

// CompileError says why one rule does not compile.
type CompileError struct {
	// Index is the place of the rule, from 0.
	Index int
	Fault *FaultError
}

func (e *CompileError) Error() string { return fmt.Sprintf("rule %d: %v", e.Index, e.Fault) }

// RefusalError says that a rule is not true. It tells no value.
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

// CompileRules compiles every rule, or returns the [CompileError] of each that does not compile, joined.
func (e *Environment) CompileRules(rules []Rule) (*Rules, error) {
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%d rules, at most %d are allowed: join some with &&", len(rules), MaxRules)
	}
	compiled := &Rules{}
	var faults []error
	for i, r := range rules {
		program, fault := e.compileRule(r.Expression)
		if fault != nil {
			faults = append(faults, &CompileError{Index: i, Fault: fault})
			continue
		}
		compiled.rules = append(compiled.rules, compiledRule{message: cmp.Or(r.Message, r.Expression), program: program})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return compiled, nil
}

func (e *Environment) compileRule(text string) (*Program, *FaultError) {
	program, fault := e.Compile(text)
	if fault == nil && !program.kind.IsExactType(cel.BoolType) {
		return nil, &FaultError{Cause: fmt.Sprintf("the expression must be a bool and is of type %s: compare it with something", program.kind)}
	}
	return program, fault
}

// Len is how many rules there are.
func (r *Rules) Len() int { return len(r.rules) }

// Reads says whether a rule reads that member of a variable by its name.
func (r *Rules) Reads(variable, member string) bool {
	for _, rule := range r.rules {
		if rule.program.Reads(variable, member) {
			return true
		}
	}
	return false
}

// Check evaluates every rule. It returns the [RefusalError] of the first that is not true. Rules that cannot be evaluated, for
// want of a value, say no. Of a partial input, those pass whose result is unknown.
func (r *Rules) Check(input any) error {
	for i, rule := range r.rules {
		if err := rule.check(input); err != nil {
			err.Index = i
			return err
		}
	}
	return nil
}

func (r compiledRule) check(input any) *RefusalError {
	result, err := r.program.Eval(input)
	if failed, ok := errors.AsType[*EvaluationError](err); ok {
		return &RefusalError{Message: r.message, Cause: failed.Cause}
	}
	if types.IsUnknown(result) {
		return nil
	}
	if allowed, ok := result.Value().(bool); !ok || !allowed {
		return &RefusalError{Message: r.message}
	}
	return nil
}
