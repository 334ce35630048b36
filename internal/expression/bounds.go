package expression

import (
	"fmt"
	"regexp/syntax"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// maxCost is what one evaluation may cost, in CEL's units: about ten milliseconds.
	maxCost = 100_000
	// maxLoops is how deep loops may be nested. A loop over a list literal binds a name to a value of any size, so that
	// deeper nesting could square it again and again.
	maxLoops = 2
	// maxComputed is how many elements and members of list and map literals may be computed. A literal repeats a value of any
	// size without a cost.
	maxComputed = 32
	// maxPattern is how many steps a regular expression may have once repetitions are written out.
	maxPattern = 1000
)

func newProgram(env *cel.Env, checked *cel.Ast) (cel.Program, error) {
	return env.Program(checked, cel.EvalOptions(cel.OptOptimize, cel.OptPartialEval), cel.CostLimit(maxCost), cel.CostTracking(meter{}))
}

// meter counts what a function costs by the size of what it touches. CEL's own count does so only where it knows the
// types, and it does not know those of claims.
type meter struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (meter) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	cost := uint64(1)
	switch function {
	case operators.Index, operators.OptIndex, operators.OptSelect, operators.LogicalAnd, operators.LogicalOr, operators.Conditional:
		// What these take out of a value is not gone through.
	default:
		for _, v := range append(slices.Clone(args), result) {
			cost += weigh(v, maxCost)
		}
	}
	return &cost
}

// weigh is the size of a value with all it holds: one for each value and one for every 16 bytes of text. It stops soon
// after it has passed the limit.
func weigh(v ref.Val, limit uint64) uint64 {
	weight := uint64(1)
	switch v := v.(type) {
	case types.String:
		return weight + uint64(len(v))/16
	case types.Bytes:
		return weight + uint64(len(v))/16
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && weight <= limit; {
			key := it.Next()
			weight += weigh(key, limit-weight) + weigh(v.Get(key), limit-weight)
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && weight <= limit; {
			weight += weigh(it.Next(), limit-weight)
		}
	}
	return weight
}

// checkBounds refuses what could cost more than the meter stops in time, because one step of it is already too much.
func checkBounds(checked *ast.AST) *FaultError {
	computed := 0
	for _, e := range ast.MatchDescendants(ast.NavigateAST(checked), ast.AllMatcher()) {
		if computed += computedElements(e); computed > maxComputed {
			return faultAt(checked, e, fmt.Sprintf("literals hold more than %d elements that are computed: split it", maxComputed))
		}
		switch e.Kind() {
		case ast.ComprehensionKind:
			if n := loopsAround(e); n > maxLoops {
				return faultAt(checked, e, fmt.Sprintf("loops are nested %d deep, at most %d are allowed: split it", n, maxLoops))
			}
		case ast.CallKind:
			if cause := checkCall(e.AsCall()); cause != "" {
				return faultAt(checked, e, cause)
			}
		default:
		}
	}
	return nil
}

// computedElements counts what a list or map literal holds other than constants.
func computedElements(e ast.Expr) int {
	n := 0
	switch e.Kind() {
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			if element.Kind() != ast.LiteralKind {
				n++
			}
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			if entry.AsMapEntry().Value().Kind() != ast.LiteralKind {
				n++
			}
		}
	default:
	}
	return n
}

func loopsAround(e ast.NavigableExpr) int {
	n := 0
	for parent, found := e, true; found; parent, found = parent.Parent() {
		if parent.Kind() == ast.ComprehensionKind {
			n++
		}
	}
	return n
}

// checkCall says what is wrong with a call, or nothing.
func checkCall(call ast.CallExpr) string {
	switch call.FunctionName() {
	case "replace", "join":
		return fmt.Sprintf("there is no %s here, because it can multiply text: compare the parts", call.FunctionName())
	case "matches":
		return checkPattern(call.Args()[len(call.Args())-1])
	default:
		return ""
	}
}

func checkPattern(e ast.Expr) string {
	pattern, ok := literal(e)
	if !ok {
		return "the pattern of matches must be written out as a string"
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "the pattern of matches is no regular expression (RE2)"
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxPattern {
		return fmt.Sprintf("the pattern of matches has more than %d steps when its repetitions are written out: repeat less", maxPattern)
	}
	return ""
}

func faultAt(checked *ast.AST, e ast.Expr, cause string) *FaultError {
	at := checked.SourceInfo().GetStartLocation(e.ID())
	return &FaultError{Line: at.Line(), Column: at.Column() + 1, Cause: cause}
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
