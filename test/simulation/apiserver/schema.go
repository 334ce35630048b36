package apiserver

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/controlplane"
)

// definition is what a CRD asks of its objects, as far as this server judges by it: defaults and rules. Bounds of single values
// are left out, because nobody in the simulation passes them.
type definition struct {
	schema *apiextensionsv1.JSONSchemaProps
	rules  []rule
}

// definitions reads the CRDs of this repository, once.
var definitions = sync.OnceValue(func() map[Kind]definition { //nolint:gochecknoglobals // Compiling the rules takes longer than a simulated month.
	return map[Kind]definition{SigningKeys: define(SigningKeys), ServiceTokens: define(ServiceTokens)}
})

func define(kind Kind) definition {
	schema, err := readSchema(kind)
	if err != nil {
		panic(err)
	}
	return definition{schema, compileRules(schema)}
}

func readSchema(kind Kind) (*apiextensionsv1.JSONSchemaProps, error) {
	folder, err := controlplane.Path("config", "crd", "bases")
	if err != nil {
		return nil, err
	}
	content, err := fs.ReadFile(os.DirFS(folder), "keyturn.dev_"+strings.ToLower(string(kind))+"s.yaml")
	if err != nil {
		return nil, fmt.Errorf("read CRD: %w", err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &crd); err != nil {
		return nil, fmt.Errorf("read CRD: %w", err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema, nil
}

// judgeSchema fills in the defaults of the CRD, and refuses what its rules refuse. It leaves other kinds alone.
func judgeSchema(old client.Object, object *client.Object) error {
	name := NameOf(*object)
	asked, defined := definitions()[name.Kind]
	if !defined {
		return nil
	}
	given := plain(*object, name.Kind)
	if old == nil {
		delete(given, "status")
	}
	fillDefaults(given, asked.schema)
	var before map[string]any
	if old != nil {
		before = plain(old, name.Kind)
	}
	if faults := judgeRules(asked.rules, given, before); len(faults) > 0 {
		return apierrors.NewInvalid(name.Kind.group(), name.Name, faults)
	}
	return restored(given, object)
}

// fillDefaults fills in what is missing, from the outside to the inside.
func fillDefaults(given any, schema *apiextensionsv1.JSONSchemaProps) {
	switch given := given.(type) {
	case map[string]any:
		for name := range schema.Properties {
			property := schema.Properties[name]
			if _, there := given[name]; !there && property.Default != nil {
				given[name] = defaultOf(&property)
			}
			if value, there := given[name]; there {
				fillDefaults(value, &property)
			}
		}
	case []any:
		for _, element := range given {
			fillDefaults(element, schema.Items.Schema) // The only form of items that CRDs may have.
		}
	}
}

func defaultOf(schema *apiextensionsv1.JSONSchemaProps) any {
	var value any
	if err := json.Unmarshal(schema.Default.Raw, &value); err != nil {
		panic(err)
	}
	return integers(value)
}

// plain is an object as JSON has it.
func plain(object client.Object, kind Kind) map[string]any {
	raw, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	out["kind"], out["apiVersion"] = string(kind), v1alpha1.GroupVersion.String()
	return integers(out).(map[string]any)
}

// integers makes whole numbers int64, as the API machinery decodes them.
func integers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = integers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = integers(e)
		}
	case float64:
		if whole := int64(v); float64(whole) == v {
			return whole
		}
	}
	return v
}

func restored(given map[string]any, object *client.Object) error {
	raw, err := json.Marshal(given)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	read, err := decode(raw)
	if err != nil {
		return err
	}
	*object = read
	return nil
}
