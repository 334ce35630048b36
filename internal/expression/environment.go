package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// MaxBytes is the longest expression, as the API has it.
const MaxBytes = 1024

// Environment is what expressions of one use see. It is safe for concurrent use.
type Environment struct {
	env     *cel.Env
	members map[string][]string
}

// NewEnvironment makes an Environment with these variables.
func NewEnvironment(variables ...cel.EnvOption) (*Environment, error) {
	env, err := cel.NewEnv(append([]cel.EnvOption{
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		// Version 0 has neither format nor quote.
		ext.Strings(ext.StringsVersion(0)),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateRegexLiterals(),
		),
	}, variables...)...)
	if err != nil {
		return nil, fmt.Errorf("make CEL environment: %w", err)
	}
	return &Environment{env: env, members: map[string][]string{}}, nil
}

// WithMembers says which members a variable has that is a map, so that a misspelt one is found when an expression is compiled.
func (e *Environment) WithMembers(variable string, names ...string) *Environment {
	e.members[variable] = names
	return e
}

// FaultError says why an expression does not compile.
type FaultError struct {
	// Line and Column are where the fault is, from 1; zero when it has no place.
	Line, Column int
	// Cause says what is wrong and what to do.
	Cause string
}

func (f *FaultError) Error() string {
	if f.Line == 0 {
		return f.Cause
	}
	return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Cause)
}

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	text    string
	ast     *ast.AST
	kind    *cel.Type
	program cel.Program
}

// Compile compiles an expression. What the CEL library stumbles over, as version 0.29 does over some optional entries of map
// literals, does not compile.
func (e *Environment) Compile(text string) (program *Program, fault *FaultError) {
	defer func() {
		if recover() != nil {
			program, fault = nil, &FaultError{Cause: "the expression cannot be compiled: write it in another way"}
		}
	}()
	return e.compile(text)
}

func (e *Environment) compile(text string) (*Program, *FaultError) {
	if len(text) > MaxBytes {
		return nil, &FaultError{Cause: fmt.Sprintf("the expression has %d bytes, at most %d are allowed: split it", len(text), MaxBytes)}
	}
	checked, issues := e.env.Compile(text)
	if fault := firstIssue(issues); fault != nil {
		return nil, fault
	}
	tree := checked.NativeRep()
	if fault := e.checkMembers(tree); fault != nil {
		return nil, fault
	}
	if fault := checkBounds(tree); fault != nil {
		return nil, fault
	}
	program, err := newProgram(e.env, checked)
	if err != nil {
		return nil, &FaultError{Cause: fmt.Sprintf("the expression cannot be planned: %v", err)}
	}
	return &Program{text: text, ast: tree, kind: checked.OutputType(), program: program}, nil
}

// checkMembers refuses the members that a variable never has.
func (e *Environment) checkMembers(checked *ast.AST) *FaultError {
	for _, found := range ast.MatchDescendants(ast.NavigateAST(checked), ast.AllMatcher()) {
		of, name, ok := Member(found)
		names, known := e.members[of]
		if ok && known && !slices.Contains(names, name) {
			return faultAt(checked, found, fmt.Sprintf("undefined field '%s': %s has %s", name, of, strings.Join(names, ", ")))
		}
	}
	return nil
}

// firstIssue is where the compiler stumbled first; what follows is often only its consequence.
func firstIssue(issues *cel.Issues) *FaultError {
	if issues.Err() == nil {
		return nil
	}
	first := issues.Errors()[0]
	return &FaultError{Line: first.Location.Line(), Column: first.Location.Column() + 1, Cause: strings.ReplaceAll(first.Message, " (in container '')", "")}
}

// Type is the type of the values, as far as it is known when the expression is compiled.
func (p *Program) Type() *cel.Type { return p.kind }

// Reads says whether the expression reads that member of a variable by its name.
func (p *Program) Reads(variable, member string) bool {
	reads := func(e ast.NavigableExpr) bool {
		of, name, ok := Member(e)
		return ok && of == variable && name == member
	}
	return len(ast.MatchDescendants(ast.NavigateAST(p.ast), reads)) > 0
}

// Eval evaluates the expression, or returns the [EvaluationError] of one that cannot be. Of a partial input, the result may be
// unknown.
func (p *Program) Eval(input any) (ref.Val, error) {
	result, _, err := p.program.Eval(input)
	if err != nil {
		return nil, &EvaluationError{Cause: causeOf(err, p.text)}
	}
	return result, nil
}

// EvaluationError says why an expression cannot be evaluated. It tells no value.
type EvaluationError struct{ Cause string }

func (e *EvaluationError) Error() string { return "cannot be evaluated, because " + e.Cause }
