package api_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/test/controlplane"
)

type schema = apiextensionsv1.JSONSchemaProps

// limit is one bound of a CRD's schema: where it holds and what the API server says when it is passed.
type limit struct {
	path    string // "[]" stands for an index and "*" for the key of a map
	message string
}

func (l limit) String() string { return l.path + ": " + l.message }

// explains says whether this bound is why the API server refused something.
func (l limit) explains(cause metav1.StatusCause) bool {
	path := regexp.QuoteMeta(l.path)
	path = strings.ReplaceAll(path, `\[\]`, `\[.+\]`)
	path = strings.ReplaceAll(path, `\*`, `.+`)
	return regexp.MustCompile("^"+path+"$").MatchString(cause.Field) && strings.Contains(cause.Message, l.message)
}

// limits are the bounds of a kind's schema: its rules as a whole, and all below spec and status.
func limits(t *testing.T, kind string) []limit {
	t.Helper()
	root := openAPISchema(t, kind)
	found := append(rulesOf("", root), limit{"spec", "Required value"})
	for _, part := range []string{"spec", "status"} {
		walk(part, root.Properties[part], func(path string, s schema) {
			if !strings.HasPrefix(path, "status.conditions[]") { // Kubernetes' own type
				found = append(found, limitsOf(path, s)...)
			}
		})
	}
	return found
}

func openAPISchema(t *testing.T, kind string) schema {
	t.Helper()
	folder, err := controlplane.Path("config", "crd", "bases")
	if err != nil {
		t.Fatal(err)
	}
	content, err := fs.ReadFile(os.DirFS(folder), "keyturn.dev_"+plural(kind)+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &crd); err != nil {
		t.Fatal(err)
	}
	return *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

func plural(kind string) string {
	if stem, ok := strings.CutSuffix(strings.ToLower(kind), "y"); ok && !strings.HasSuffix(stem, "e") {
		return stem + "ies"
	}
	return strings.ToLower(kind) + "s"
}

// walk visits a schema and all below it.
func walk(path string, s schema, visit func(string, schema)) {
	visit(path, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		walk(path+"."+name, s.Properties[name], visit)
	}
	if s.Items != nil {
		walk(path+"[]", *s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil {
		walk(path+".*", *s.AdditionalProperties.Schema, visit)
	}
}

func limitsOf(path string, s schema) []limit {
	found := slices.Concat(rulesOf(path, s), sizesOf(path, s))
	for _, name := range s.Required {
		found = append(found, limit{path + "." + name, "Required value"})
	}
	if s.Pattern != "" {
		found = append(found, limit{path, "should match '" + s.Pattern + "'"})
	}
	if len(s.Enum) > 0 {
		found = append(found, limit{path, "Unsupported value"})
	}
	if s.Format == "date-time" {
		found = append(found, limit{path, "must be of type date-time"})
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		found = append(found, limit{path + "[]", "Duplicate value"})
	}
	return found
}

func rulesOf(path string, s schema) []limit {
	var found []limit
	for _, rule := range s.XValidations {
		at := strings.TrimPrefix(path+rule.FieldPath, ".")
		found = append(found, limit{cmp.Or(at, "<nil>"), rule.Message}) // so the API server calls the object as a whole
	}
	return found
}

func sizesOf(path string, s schema) []limit {
	var found []limit
	add := func(value *int64, message string) {
		if value != nil && *value > 0 {
			found = append(found, limit{path, fmt.Sprintf(message, *value)})
		}
	}
	add(s.MinLength, "should be at least %d chars long")
	add(s.MaxLength, "may not be more than %d bytes")
	add(s.MinItems, "should have at least %d items")
	add(s.MaxItems, "must have at most %d items")
	add(s.MaxProperties, "must have at most %d items")
	if !fillsItself(s) {
		add(s.MinProperties, "should have at least %d properties")
	}
	if s.Minimum != nil {
		found = append(found, limit{path, fmt.Sprintf("should be greater than or equal to %v", *s.Minimum)})
	}
	return found
}

// fillsItself says that an object is never empty, because one of its fields has a default.
func fillsItself(s schema) bool {
	for _, property := range s.Properties {
		if property.Default != nil {
			return true
		}
	}
	return false
}
