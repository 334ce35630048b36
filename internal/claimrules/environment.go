package claimrules

import (
	"reflect"
	"strings"

	"github.com/antlr4-go/antlr/v4"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/parser/gen"

	"github.com/keyturn/keyturn/internal/expression"
)

// The variables of an expression. CEL's grammar reserves the word namespace, so that expressions are compiled with another
// word of the same length in its place.
const (
	claimsVariable    = "claims"
	namespaceVariable = "namespace"
	namespaceInside   = "_amespace"
)

// Namespace is what an expression sees as namespace. It is exported, and its fields are, for reflection alone.
type Namespace struct {
	Name   string            `cel:"name"`
	Labels map[string]string `cel:"labels"`
}

func newEnvironment() (*expression.Environment, error) {
	return expression.NewEnvironment(
		cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals()),
		ext.NativeTypes(reflect.TypeFor[Namespace](), ext.ParseStructTags(true)),
		cel.Variable(claimsVariable, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(namespaceInside, cel.ObjectType("claimrules.Namespace")),
	)
}

// nameNamespace puts the word that may be used in the place of the word that is reserved. A member that happens to be
// called namespace, as in claims.namespace, keeps its name. What is too long for an expression is left as it is.
func nameNamespace(written string) string {
	if len(written) > expression.MaxBytes {
		return written
	}
	lexer := gen.NewCELLexer(antlr.NewInputStream(written))
	lexer.RemoveErrorListeners()
	text := []rune(written)
	member := false
	for token := lexer.NextToken(); token.GetTokenType() != antlr.TokenEOF; token = lexer.NextToken() {
		switch token.GetTokenType() {
		case gen.CELLexerWHITESPACE, gen.CELLexerCOMMENT:
		case gen.CELLexerDOT:
			member = true
		case gen.CELLexerQUESTIONMARK:
			// After a dot it belongs to an optional member, and keeps the state.
		case gen.CELLexerIDENTIFIER:
			if !member && token.GetText() == namespaceVariable {
				copy(text[token.GetStart():], []rune(namespaceInside))
			}
			member = false
		default:
			member = false
		}
	}
	return string(text)
}

func plainWords(message string) string {
	return strings.ReplaceAll(message, namespaceInside, namespaceVariable)
}
