package expression

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// Member is the member of a variable that an expression reads by its name: as in claims.sub, claims["sub"], their optional
// forms, and has(claims.sub). A name that is only known when it is evaluated does not count.
func Member(e ast.Expr) (variable, name string, ok bool) {
	switch e.Kind() {
	case ast.SelectKind:
		return of(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case ast.CallKind:
		return indexed(e.AsCall())
	default:
		return "", "", false
	}
}

func indexed(call ast.CallExpr) (variable, name string, ok bool) {
	switch call.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		if name, ok := literal(call.Args()[1]); ok {
			return of(call.Args()[0], name)
		}
	}
	return "", "", false
}

func of(operand ast.Expr, name string) (string, string, bool) {
	if operand.Kind() != ast.IdentKind {
		return "", "", false
	}
	return operand.AsIdent(), name, true
}
