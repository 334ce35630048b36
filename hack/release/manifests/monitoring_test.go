package manifests_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestChartBringsMonitoringAsItIsWritten finds a template that Helm has filled in although it is for Prometheus or Grafana.
func TestChartBringsMonitoringAsItIsWritten(t *testing.T) {
	const elsewhere = "auth"
	labels := map[string]any{"release": "monitoring"}
	objects := templated(t, elsewhere, map[string]any{
		"metrics": map[string]any{
			"serviceMonitor": map[string]any{"enabled": true, "interval": "15s", "labels": labels},
			"prometheusRule": map[string]any{"enabled": true, "labels": labels},
		},
		"dashboard": map[string]any{"enabled": true, "labels": labels, "annotations": map[string]any{"grafana_folder": "Security"}},
	})
	var alerts map[string]any
	if err := yaml.Unmarshal(file(t, "alerts.yaml"), &alerts); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]any{
		"PrometheusRule auth/keyturn":      {"spec": alerts},
		"ConfigMap auth/keyturn-dashboard": {"data": map[string]any{"keyturn.json": string(file(t, "dashboard.json"))}},
		"ServiceMonitor auth/keyturn": {"spec": map[string]any{
			"selector":  map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "keyturn"}},
			"endpoints": []any{map[string]any{"port": "metrics", "honorLabels": true, "interval": "15s"}},
		}},
	} {
		object, found := objects[name]
		if !found {
			t.Errorf("%s is not there", name)
			continue
		}
		if object.GetLabels()["release"] != "monitoring" {
			t.Errorf("%s has the labels %v", name, object.GetLabels())
		}
		for part, content := range want {
			if diff := cmp.Diff(content, object.Object[part]); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", part, name, diff)
			}
		}
	}
	if c := objects["ConfigMap auth/keyturn-dashboard"]; c != nil && (c.GetLabels()["grafana_dashboard"] != "1" || c.GetAnnotations()["grafana_folder"] != "Security") {
		t.Errorf("the dashboard has the labels %v and annotations %v", c.GetLabels(), c.GetAnnotations())
	}
	if n := withPort(objects, "metrics"); n != 1 {
		t.Errorf("%d Services have a port for metrics, and the ServiceMonitor would scrape each", n)
	}
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "charts", "keyturn", "files", filepath.Base(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// withPort counts the Services that the ServiceMonitor selects and that have a port of that name.
func withPort(objects map[string]*unstructured.Unstructured, port string) int {
	n := 0
	for _, object := range objects {
		ports, _, _ := unstructured.NestedSlice(object.Object, "spec", "ports")
		for _, p := range ports {
			if fields, ok := p.(map[string]any); ok && fields["name"] == port && object.GetLabels()["app.kubernetes.io/name"] == "keyturn" {
				n++
			}
		}
	}
	return n
}
