package clientclaims

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/expression"
)

// MaxClaims is the most claims of a TokenClient, as the API has it.
const MaxClaims = 32

// Claims are compiled. They are immutable and safe for concurrent use; the zero value makes none.
type Claims struct {
	claims []claim
}

type claim struct {
	name    string
	program *expression.Program
}

// CompileError says why one claim cannot be made.
type CompileError struct {
	// Index is the place of the claim, from 0, and Name its name.
	Index int
	Name  string
	// Fault is what is wrong with its expression; nil when its name is refused.
	Fault *expression.FaultError
}

func (e *CompileError) Error() string { return fmt.Sprintf("claim %q: %s", e.Name, e.Detail()) }

// Detail is the error without the name of the claim.
func (e *CompileError) Detail() string {
	if e.Fault != nil {
		return e.Fault.Error()
	}
	reserved, _ := token.ReservedClaim(e.Name)
	if reserved == e.Name {
		return fmt.Sprintf("Keyturn sets the claim %q: remove it", reserved)
	}
	return fmt.Sprintf("some verifiers take it for the claim %q, which Keyturn sets: rename it", reserved)
}

// Compile compiles the expression of every claim, or returns the [CompileError] of each that cannot be, joined.
func Compile(expressions []v1alpha1.ClaimExpression) (*Claims, error) {
	if len(expressions) > MaxClaims {
		return nil, fmt.Errorf("%d claims, at most %d are allowed: join some into a map", len(expressions), MaxClaims)
	}
	compiled := &Claims{}
	if len(expressions) == 0 {
		return compiled, nil
	}
	env, err := newEnvironment()
	if err != nil {
		return nil, err
	}
	var faults []error
	for i, e := range expressions {
		if _, reserved := token.ReservedClaim(e.Name); reserved {
			faults = append(faults, &CompileError{Index: i, Name: e.Name})
		}
		program, fault := env.Compile(e.Expression)
		if fault == nil {
			fault = checkType(program)
		}
		if fault != nil {
			faults = append(faults, &CompileError{Index: i, Name: e.Name, Fault: fault})
		}
		compiled.claims = append(compiled.claims, claim{name: e.Name, program: program})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return compiled, nil
}

// checkType refuses what is known never to be a value of JSON.
func checkType(program *expression.Program) *expression.FaultError {
	kinds := []types.Kind{types.BytesKind, types.DurationKind, types.TimestampKind, types.TypeKind, types.NullTypeKind}
	if !slices.Contains(kinds, program.Type().Kind()) {
		return nil
	}
	return &expression.FaultError{Cause: fmt.Sprintf("the value of a claim cannot be a %s: make a text, number, boolean, list or map of it", program.Type())}
}

func newEnvironment() (*expression.Environment, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	env, err := expression.NewEnvironment(
		cel.Variable(clientVariable, object), cel.Variable(serviceAccountVariable, object), cel.Variable(requestVariable, object))
	if err != nil {
		return nil, err
	}
	return env.WithMembers(clientVariable, "id", "namespace", "name", "labels").
		WithMembers(serviceAccountVariable, "namespace", "name", "labels", "podName", "podUID").
		WithMembers(requestVariable, "grantType", "audiences", "scopes", "subjectClaims"), nil
}

// EvaluationError says why a claim cannot be made of a request. It tells no value.
type EvaluationError struct {
	// Name is the claim's; empty when all claims together are at fault.
	Name  string
	Cause string
}

func (e *EvaluationError) Error() string {
	if e.Name == "" {
		return "the claims " + e.Cause
	}
	return fmt.Sprintf("claim %q %s", e.Name, e.Cause)
}

// Evaluate makes the claims of a token: values as encoding/json makes them, with int64 and uint64 for whole numbers. It returns an
// [EvaluationError] if one cannot be made, or if they are longer together than [token.MaxClaimsBytes] as JSON.
func (c *Claims) Evaluate(input Input) (map[string]any, error) {
	made := map[string]any{}
	if len(c.claims) == 0 {
		return made, nil
	}
	variables, err := input.variables()
	if err != nil {
		return nil, err
	}
	left := token.MaxClaimsBytes
	for _, claim := range c.claims {
		value, there, cause := claim.evaluate(variables, &left)
		switch {
		case errors.Is(cause, errTooLong):
			return nil, &EvaluationError{Cause: cause.Error()}
		case cause != nil:
			return nil, &EvaluationError{Name: claim.name, Cause: cause.Error()}
		case there:
			made[claim.name] = value
		}
	}
	if token.MostBytes(made) <= token.MaxClaimsBytes {
		return made, nil
	}
	encoded, err := token.Encode(made)
	if err != nil || len(encoded) > token.MaxClaimsBytes {
		return nil, &EvaluationError{Cause: errTooLong.Error()}
	}
	return made, nil
}

func (c claim) evaluate(variables map[string]any, left *int) (value any, there bool, cause error) {
	result, err := c.program.Eval(variables)
	if err != nil {
		return nil, false, err
	}
	given, there := present(result)
	if !there {
		return nil, false, nil
	}
	if value, err = native(given, left); value == nil && err == nil {
		err = errNull
	}
	return value, true, err
}
