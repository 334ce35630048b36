package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseManifests(t *testing.T) {
	const content = "---\nkind: A\nmetadata: {name: a}\n---\n# only a comment\n---\nkind: B\ndata: {text: \"a --- b\"}\n"
	got, err := parseManifests([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	want := []object{
		{"kind": "A", "metadata": object{"name": "a"}},
		{"kind": "B", "data": object{"text": "a --- b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestReadManifestsInTheOrderOfTheirFiles(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{"b.yaml": "kind: B", "a.yaml": "kind: A", "notes.txt": "kind: C"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readManifests(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]object{{"kind": "A"}, {"kind": "B"}}, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestBindRoles(t *testing.T) {
	roles, err := parseManifests([]byte(`
kind: ClusterRole
metadata: {name: keyturn-manager}
---
kind: Role
metadata: {name: keyturn-manager}
---
kind: Role
metadata: {name: reader, namespace: kube-system}
---
kind: ServiceAccount
metadata: {name: keyturn}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, bound := range bindRoles(roles) {
		namespace, _ := field(bound, "metadata")["namespace"].(string)
		role, _ := field(bound, "roleRef")["kind"].(string)
		got = append(got, bound["kind"].(string)+" "+namespace+"/"+nameOf(bound)+" "+role)
	}
	want := []string{
		"ClusterRole /keyturn-manager ",
		"Role keyturn-system/keyturn-manager ",
		"Role kube-system/reader ",
		"ServiceAccount /keyturn ",
		"ClusterRoleBinding /keyturn-manager ClusterRole",
		"RoleBinding keyturn-system/keyturn-manager Role",
		"RoleBinding kube-system/reader Role",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestPointWebhooks(t *testing.T) {
	webhooks, err := parseManifests([]byte(`
kind: ValidatingWebhookConfiguration
metadata: {name: keyturn}
webhooks:
- name: one.keyturn.dev
  clientConfig: {service: {name: webhook, namespace: keyturn-system, path: /validate-one}}
  failurePolicy: Fail
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := pointWebhooks(webhooks, "https://127.0.0.1:9443"); err != nil {
		t.Fatal(err)
	}
	want := []object{{
		"kind":     "ValidatingWebhookConfiguration",
		"metadata": object{"name": "keyturn"},
		"webhooks": []any{object{
			"name":          "one.keyturn.dev",
			"clientConfig":  object{"url": "https://127.0.0.1:9443/validate-one"},
			"failurePolicy": "Fail",
		}},
	}}
	if diff := cmp.Diff(want, webhooks); diff != "" {
		t.Errorf("webhooks (-want +got):\n%s", diff)
	}
	if err := pointWebhooks(webhooks, "https://127.0.0.1:9443"); err == nil {
		t.Error("a webhook without a path was accepted")
	}
}
