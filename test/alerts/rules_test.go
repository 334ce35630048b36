package alerts

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/promtool"
)

// alert is a rule that fires.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type ruleFile struct {
	Groups []struct {
		Name  string  `json:"name"`
		Rules []alert `json:"rules"`
	} `json:"groups"`
}

// unitTests is a file for promtool test rules, as far as this package reads it.
type unitTests struct {
	Tests []struct {
		AlertRuleTest []struct {
			AlertName string `json:"alertname"`
			ExpAlerts []any  `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

const (
	rulesPath = "charts/keyturn/files/alerts.yaml"
	testsPath = "test/alerts/testdata/alerts_test.yaml"
)

func path(t *testing.T, name string) string {
	t.Helper()
	absolute, err := controlplane.Path(strings.Split(name, "/")...)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

func read(t *testing.T, name string) string {
	t.Helper()
	absolute := path(t, name)
	text, err := fs.ReadFile(os.DirFS(filepath.Dir(absolute)), filepath.Base(absolute))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// alerts are the rules of the chart, in their order.
func alerts(t *testing.T) []alert {
	t.Helper()
	var file ruleFile
	if err := yaml.Unmarshal([]byte(read(t, rulesPath)), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", rulesPath)
	}
	return all
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool.Run(t, "", "check", "rules", path(t, rulesPath))
}

func TestAlertsFireAndAreSilent(t *testing.T) {
	promtool.Run(t, "", "test", "rules", path(t, testsPath))
}

// TestEachAlertIsSeenToFireAndToBeSilent keeps an alert from being added without a test of both.
func TestEachAlertIsSeenToFireAndToBeSilent(t *testing.T) {
	var file unitTests
	if err := yaml.Unmarshal([]byte(read(t, testsPath)), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.AlertRuleTest {
			fires[c.AlertName] = fires[c.AlertName] || len(c.ExpAlerts) > 0
			silent[c.AlertName] = silent[c.AlertName] || len(c.ExpAlerts) == 0
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s: %s shows it firing: %t, silent: %t", a.Alert, testsPath, fires[a.Alert], silent[a.Alert])
		}
		delete(fires, a.Alert)
	}
	if len(fires) > 0 {
		t.Errorf("%s tests alerts that there are not: %v", testsPath, slices.Sorted(maps.Keys(fires)))
	}
}

func TestEachAlertSaysWhatIsWrongAndWhereToRead(t *testing.T) {
	for _, a := range alerts(t) {
		want := map[string]string{
			"summary": a.Annotations["summary"], "description": a.Annotations["description"],
			"runbook_url": "https://github.com/keyturn/keyturn/blob/main/docs/runbooks/" + a.Alert + ".md",
		}
		if diff := cmp.Diff(want, a.Annotations); diff != "" || want["summary"] == "" || want["description"] == "" {
			t.Errorf("annotations of %s (-want +got):\n%s", a.Alert, diff)
		}
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("the severity of %s is %q", a.Alert, s)
		}
	}
}

func TestEachAlertHasARunbook(t *testing.T) {
	entries, err := os.ReadDir(path(t, "docs/runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	var pages, names []string
	for _, entry := range entries {
		pages = append(pages, strings.TrimSuffix(entry.Name(), ".md"))
	}
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, pages); diff != "" {
		t.Fatalf("runbooks (-alerts +pages):\n%s", diff)
	}
	heading := regexp.MustCompile(`(?m)^#+ .*$`)
	for _, name := range names {
		want := []string{"# " + name, "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"}
		if diff := cmp.Diff(want, heading.FindAllString(read(t, "docs/runbooks/"+name+".md"), -1)); diff != "" {
			t.Errorf("headings of the runbook (-want +got):\n%s", diff)
		}
	}
}

// TestAlertsAreDocumented compares the table of docs/metrics.md.
func TestAlertsAreDocumented(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \|`)
	var want, got [][]string
	for _, a := range alerts(t) {
		want = append(want, []string{a.Alert, a.Alert, a.Labels["severity"]})
	}
	for _, found := range row.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		got = append(got, found[1:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table of alerts (-want +got):\n%s", diff)
	}
}
