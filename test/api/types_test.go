package api_test

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Every field refuses a value of another JSON type and says which it wants.
func TestWrongTypes(t *testing.T) {
	c := suite.Client(t)
	for _, kind := range kinds() {
		walk("spec", openAPISchema(t, kind).Properties["spec"], func(path string, s schema) {
			t.Run(kind+" "+path, func(t *testing.T) {
				object := object(kind, nil)
				wrong := nest(strings.Split(path, "."), valueOfAnotherType(s.Type)).(map[string]any)
				object.Object["spec"] = wrong["spec"]
				want := limit{path, "must be of type "}
				err := c.Create(t.Context(), object, client.DryRunAll)
				if !slices.ContainsFunc(causes(err), want.explains) {
					t.Errorf("got %v\nwant a refusal because %s", err, want)
				}
			})
		})
	}
}

func kinds() []string {
	return []string{"SigningKey", "ServiceToken", "TokenClient", "TokenRevocation", "TokenPolicy"}
}

func valueOfAnotherType(kind string) any {
	if kind == "string" {
		return int64(7)
	}
	return "text"
}

// nest puts a value where a path of the schema leads to.
func nest(path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	inner := nest(path[1:], value)
	if isList {
		inner = []any{inner}
	}
	return map[string]any{name: inner}
}
