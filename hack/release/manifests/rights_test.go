package manifests_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryRightIsInTheThreatModel: docs/threat-model.md says of each rule of each role what it allows somebody who has taken over the
// operator, and of no other.
func TestEveryRightIsInTheThreatModel(t *testing.T) {
	told := toldRights(t)
	want := map[string]bool{}
	for name, object := range kustomized(t) {
		for _, rule := range rules(object) {
			if !strings.Contains(name, "Role ") {
				continue
			}
			where := "everywhere"
			if object.GetKind() == "Role" {
				where = "in its namespace"
			}
			want[where+" | "+describe(t, rule)] = true
		}
	}
	got := map[string]bool{}
	for _, row := range told {
		got[row] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights (-manifests +docs/threat-model.md):\n%s", diff)
	}
	everything := map[string]any{
		"watchNamespaces": []any{"team-a"}, "extAuthz": map[string]any{"enabled": true}, "replicaCount": 1,
		"tokenStore": map[string]any{"type": "sqlite"}, "webhook": map[string]any{"certificate": "cert-manager"},
	}
	for name, object := range templated(t, namespace, everything) {
		for _, rule := range rules(object) {
			if right := describe(t, rule); strings.Contains(name, "Role ") &&
				!slices.ContainsFunc(told, func(row string) bool { return strings.HasSuffix(row, " | "+right) }) {
				t.Errorf("%s of the chart has %s, which docs/threat-model.md does not tell of", name, right)
			}
		}
	}
}

// describe writes a rule as the page has it: what it is on, and the verbs.
func describe(t *testing.T, rule any) string {
	t.Helper()
	fields, ok := rule.(map[string]any)
	if !ok {
		t.Fatalf("%v is no rule", rule)
	}
	texts := func(field string) []string {
		var found []string
		for _, value := range list(fields, field) {
			found = append(found, fmt.Sprint(value))
		}
		delete(fields, field)
		return found
	}
	var on []string
	groups, names, verbs := texts("apiGroups"), texts("resourceNames"), texts("verbs")
	for _, group := range groups {
		for _, resource := range texts("resources") {
			on = append(on, "`"+strings.TrimSuffix(resource+"."+group, ".")+"`")
		}
	}
	if len(fields) > 0 || len(groups) != 1 {
		t.Fatalf("a rule of %v, %v has what the page has no words for: %v", groups, on, fields)
	}
	what := strings.Join(on, ", ")
	if len(names) > 0 {
		what += " named `" + strings.Join(names, "`, `") + "`"
	}
	return what + " | " + strings.Join(verbs, ", ")
}

// toldRights are the first three cells of the page's table of rights, each of which has both of the others.
func toldRights(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repository, "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "| where | on | verbs |")
	table, _, _ := strings.Cut(rest, "\n\n")
	var told []string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 || strings.HasPrefix(line, "|--") {
			continue
		}
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		if len(cells[4]) == 0 || len(cells[5]) == 0 {
			t.Errorf("the page does not say what %s is for, or what it allows", cells[2])
		}
		told = append(told, strings.Join(cells[1:4], " | "))
	}
	return told
}
