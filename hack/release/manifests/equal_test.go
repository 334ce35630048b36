package manifests_test

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/keyturn/keyturn/hack/release/manifests"
)

const (
	repository = "../../.."
	namespace  = "keyturn-system"
)

// What a chart has and kustomize has not: labels that tell of the release, and the note that Helm leaves CRDs.
var (
	chartLabels      = []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"}
	chartAnnotations = []string{"helm.sh/resource-policy"}
)

func TestChartAndKustomizeInstallTheSame(t *testing.T) {
	want := kustomized(t)
	// Helm makes the namespace itself, or takes one that is there.
	delete(want, "Namespace /"+namespace)
	got := templated(t, namespace, nil)
	for _, object := range got {
		withoutChartMetadata(object)
	}
	if diff := cmp.Diff(names(want), names(got)); diff != "" {
		t.Errorf("objects (-kustomize +chart):\n%s", diff)
	}
	for name, object := range want {
		if rendered, found := got[name]; found {
			if diff := cmp.Diff(object.Object, rendered.Object); diff != "" {
				t.Errorf("%s (-kustomize +chart):\n%s", name, diff)
			}
		}
	}
}

func kustomized(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	manifest, err := manifests.Kustomize(filepath.Join(repository, "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	return byName(t, manifest)
}

func templated(t *testing.T, namespace string, values map[string]any) map[string]*unstructured.Unstructured {
	t.Helper()
	manifest, err := manifests.Template(load(t), namespace, values)
	if err != nil {
		t.Fatal(err)
	}
	return byName(t, manifest)
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := manifests.LoadChart(filepath.Join(repository, "charts", "keyturn"))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// byName knows the objects as in "Role keyturn-system/keyturn-manager". A name that comes twice is an error.
func byName(t *testing.T, manifest []byte) map[string]*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Parse(manifest)
	if err != nil {
		t.Fatalf("%v\n%s", err, manifest)
	}
	named := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		name := object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
		if _, twice := named[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		named[name] = object
	}
	return named
}

func names(objects map[string]*unstructured.Unstructured) []string {
	return slices.Sorted(maps.Keys(objects))
}

func withoutChartMetadata(object *unstructured.Unstructured) {
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	for _, name := range chartLabels {
		delete(labels, name)
	}
	for _, name := range chartAnnotations {
		delete(annotations, name)
	}
	if len(annotations) == 0 {
		annotations = nil // no field, instead of an empty one
	}
	object.SetLabels(labels)
	object.SetAnnotations(annotations)
}
