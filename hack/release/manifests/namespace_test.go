package manifests_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/hack/release/manifests"
)

// Webhooks and bindings name the operator's namespace and account, in fields and in CEL as text.
func TestAnotherNamespaceIsNamedEverywhere(t *testing.T) {
	const other = "identity"
	files := filesys.MakeFsOnDisk()
	overlay := t.TempDir()
	absolute, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Rel(overlay, filepath.Join(absolute, "config"))
	if err != nil {
		t.Fatal(err)
	}
	kustomization := strings.ReplaceAll(printedOverlay(t), "https://github.com/keyturn/keyturn/config", config)
	if err := files.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(kustomization)); err != nil {
		t.Fatal(err)
	}
	manifest, err := manifests.Kustomize(overlay)
	if err != nil {
		t.Fatal(err)
	}
	byKustomize := byName(t, manifest)
	byHelm := templated(t, other, map[string]any{"externalURL": "https://keys.example.com"})
	for name, object := range byHelm {
		withoutChartMetadata(object)
		if diff := cmp.Diff(byKustomize[name].Object, object.Object); diff != "" {
			t.Errorf("%s (-kustomize +chart):\n%s", name, diff)
		}
		if text := marshal(t, object); strings.Contains(text, namespace) {
			t.Errorf("%s names %s:\n%s", name, namespace, text)
		}
	}
}

// printedOverlay is the kustomization that the guide shows.
func printedOverlay(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile(filepath.Join(repository, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\napiVersion: kustomize.config.k8s.io/v1beta1\n")
	printed, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("docs/install.md shows no kustomization")
	}
	return printed
}

func TestNamespacedModeHasRightsInItsNamespacesAlone(t *testing.T) {
	everywhere := rules(templated(t, namespace, nil)["ClusterRole /keyturn-manager"])
	watching := templated(t, namespace, map[string]any{"watchNamespaces": []any{"team-a", "team-b"}})
	cluster := rules(watching["ClusterRole /keyturn-manager"])
	var resources []any
	for _, rule := range cluster {
		resources = append(resources, follow(rule, []any{"resources", 0}))
	}
	if diff := cmp.Diff([]any{"namespaces", "validatingwebhookconfigurations", "tokenreviews"}, resources); diff != "" {
		t.Errorf("what has no namespace (-want +got):\n%s", diff)
	}
	for _, watched := range []string{"team-a", "team-b"} {
		role := rules(watching["Role "+watched+"/keyturn-watched"])
		if diff := cmp.Diff(sorted(t, everywhere), sorted(t, slices.Concat(cluster, role))); diff != "" {
			t.Errorf("rules of the cluster (-everywhere +namespaced mode, %s):\n%s", watched, diff)
		}
		binding := watching["RoleBinding "+watched+"/keyturn-watched"]
		subject := follow(binding.Object, []any{"subjects", 0})
		want := map[string]any{"kind": "ServiceAccount", "name": "keyturn", "namespace": namespace}
		if diff := cmp.Diff(want, subject); diff != "" {
			t.Errorf("who has the rights in %s (-want +got):\n%s", watched, diff)
		}
	}
}

func TestNamespacedModeJudgesItsNamespacesAlone(t *testing.T) {
	everywhere := templated(t, namespace, nil)[webhooks]
	watching := templated(t, namespace, map[string]any{"watchNamespaces": []any{"team-a"}})[webhooks]
	for i, webhook := range watching.Object["webhooks"].([]any) {
		selector := []any{"webhooks", i, "namespaceSelector", "matchExpressions"}
		before, _ := follow(everywhere.Object, selector).([]any)
		want := append(slices.Clone(before), map[string]any{
			"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"team-a"},
		})
		if diff := cmp.Diff(any(want), follow(watching.Object, selector)); diff != "" {
			t.Errorf("namespaces of %v (-want +got):\n%s", webhook.(map[string]any)["name"], diff)
		}
	}
}

func rules(role *unstructured.Unstructured) []any {
	list, _ := role.Object["rules"].([]any)
	return list
}

func sorted(t *testing.T, list []any) []string {
	t.Helper()
	texts := make([]string, 0, len(list))
	for _, item := range list {
		texts = append(texts, marshal(t, item))
	}
	slices.Sort(texts)
	return texts
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
