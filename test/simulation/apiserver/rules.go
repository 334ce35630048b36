package apiserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// rule is one CEL rule of a CRD (x-kubernetes-validations). Rules that ask for Kubernetes' own CEL library, such as those about
// the forms of names, are left out: nobody in the simulation breaks them.
type rule struct {
	// path leads to what the rule is about, through objects only.
	path    []string
	message string
	// compares says that the rule needs the object as it was.
	compares bool
	program  cel.Program
}

// compileRules compiles the rules of a schema and of all objects in it.
func compileRules(schema *apiextensionsv1.JSONSchemaProps) []rule {
	environment, err := cel.NewEnv(ext.Strings(), cel.OptionalTypes(), cel.Variable("self", cel.DynType), cel.Variable("oldSelf", cel.DynType))
	if err != nil {
		panic(err)
	}
	return compileBelow(environment, nil, schema)
}

func compileBelow(environment *cel.Env, path []string, schema *apiextensionsv1.JSONSchemaProps) []rule {
	var rules []rule
	for _, v := range schema.XValidations {
		checked, issues := environment.Compile(v.Rule)
		if issues.Err() != nil {
			continue
		}
		program, err := environment.Program(checked)
		if err != nil {
			panic(err)
		}
		rules = append(rules, rule{slices.Clone(path), v.Message, strings.Contains(v.Rule, "oldSelf"), program})
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		rules = append(rules, compileBelow(environment, append(slices.Clone(path), name), &property)...)
	}
	return rules
}

// judgeRules says which rules an object breaks.
func judgeRules(rules []rule, given, before map[string]any) field.ErrorList {
	var faults field.ErrorList
	for _, r := range rules {
		self, there := at(given, r.path)
		old, was := at(before, r.path)
		if !there || r.compares && !was {
			continue
		}
		result, _, err := r.program.Eval(map[string]any{"self": self, "oldSelf": old})
		if err != nil || result.Value() != true {
			faults = append(faults, field.Invalid(field.NewPath("", r.path...), fmt.Sprint(self), r.message))
		}
	}
	return faults
}

// at returns what is at a path.
func at(given map[string]any, path []string) (any, bool) {
	if given == nil {
		return nil, false
	}
	var value any = given
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}
