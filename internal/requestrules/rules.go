package requestrules

import (
	"cmp"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/expression"
)

const (
	claimsVariable  = "claims"
	requestVariable = "request"

	// defaultMessage does not tell the expression: whoever is refused is not whoever wrote it.
	defaultMessage = "a rule of the policy refuses the request"
)

// Request is what rules see of a request.
type Request struct {
	Method string
	// Host is in lower case and without a port.
	Host string
	// Path is without encoding.
	Path string
	// Query is as it was sent, without the question mark.
	Query string
}

// Rules are compiled. They are immutable and safe for concurrent use; the zero value lets everything in.
type Rules struct {
	rules expression.Rules
}

// Compile compiles every rule, or returns the [expression.CompileError] of each that does not compile, joined.
func Compile(rules []v1alpha1.RequestRule) (*Rules, error) {
	if len(rules) == 0 {
		return &Rules{}, nil
	}
	env, err := expression.NewEnvironment(
		cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals()),
		cel.Variable(claimsVariable, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(requestVariable, cel.MapType(cel.StringType, cel.StringType)),
	)
	if err != nil {
		return nil, err
	}
	var named []expression.Rule
	for _, r := range rules {
		named = append(named, expression.Rule{Expression: r.Expression, Message: cmp.Or(r.Message, defaultMessage)})
	}
	compiled, err := env.WithMembers(requestVariable, "method", "host", "path", "query").CompileRules(named)
	if err != nil {
		return nil, err
	}
	return &Rules{rules: *compiled}, nil
}

// Claims are those of a token, as rules see them. They are immutable and safe for concurrent use, so that a token that is seen again
// needs no new ones.
type Claims struct {
	values ref.Val
	err    error
}

// NewClaims makes Claims. Of those that no rule can be evaluated on, [Rules.Check] returns the error.
func NewClaims(claims map[string]any) Claims {
	values, err := expression.Values(claims)
	return Claims{values: types.DefaultTypeAdapter.NativeToValue(values), err: err}
}

// Check evaluates every rule on the claims of a verified token and on the request. It returns the [expression.RefusalError] of
// the first rule that is not true. Rules that cannot be evaluated, for want of a claim, say no, as does any other error.
func (r *Rules) Check(claims Claims, request Request) error {
	if r.rules.Len() == 0 {
		return nil
	}
	if claims.err != nil {
		return claims.err
	}
	return r.rules.Check(map[string]any{
		claimsVariable: claims.values,
		requestVariable: map[string]string{
			"method": request.Method, "host": request.Host, "path": request.Path, "query": request.Query,
		},
	})
}
