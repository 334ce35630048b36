package claimrules

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

const subjectClaim = "sub"

// speaksOfSubject looks for claims.sub, claims["sub"] and their optional forms. A name that is only known when the rule
// is evaluated does not count.
func speaksOfSubject(checked *ast.AST) bool {
	readsSubject := func(e ast.NavigableExpr) bool {
		switch e.Kind() {
		case ast.SelectKind:
			return e.AsSelect().FieldName() == subjectClaim && areClaims(e.AsSelect().Operand())
		case ast.CallKind:
			return indexesSubject(e.AsCall())
		default:
			return false
		}
	}
	return len(ast.MatchDescendants(ast.NavigateAST(checked), readsSubject)) > 0
}

func indexesSubject(call ast.CallExpr) bool {
	switch call.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		name, ok := literal(call.Args()[1])
		return ok && name == subjectClaim && areClaims(call.Args()[0])
	default:
		return false
	}
}

func areClaims(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == claimsVariable
}
