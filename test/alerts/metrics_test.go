package alerts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/test/promtool"
)

// panel is a panel of the dashboard, as far as this package reads it.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
	GridPos struct {
		X int `json:"x"`
		Y int `json:"y"`
		W int `json:"w"`
		H int `json:"h"`
	} `json:"gridPos"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct {
		UID           string  `json:"uid"`
		SchemaVersion int     `json:"schemaVersion"`
		Panels        []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, "charts/keyturn/files/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID != "keyturn" || dashboard.SchemaVersion == 0 || len(dashboard.Panels) == 0 {
		t.Fatalf("the dashboard has UID %q, schema %d and %d panels", dashboard.UID, dashboard.SchemaVersion, len(dashboard.Panels))
	}
	return dashboard.Panels
}

func TestPanelsAreWhole(t *testing.T) {
	ids := map[int]string{}
	cells := map[[2]int]string{}
	for _, p := range panels(t) {
		if other, taken := ids[p.ID]; taken {
			t.Errorf("%q has the ID of %q", p.Title, other)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("%q lies on %q or beyond the edge, at %d, %d", p.Title, other, x, y)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
			t.Errorf("%q has no description, no query, or another data source than the one that is chosen", p.Title)
		}
	}
}

// queries are the queries of the dashboard by where they are, with Grafana's variables filled in.
func queries(t *testing.T) map[string]string {
	t.Helper()
	variables := strings.NewReplacer("$__rate_interval", "5m", "$namespace", "shop")
	found := map[string]string{}
	for _, p := range panels(t) {
		for i, target := range p.Targets {
			found[fmt.Sprintf("panel %q, query %d", p.Title, i)] = variables.Replace(target.Expr)
		}
	}
	return found
}

func TestPromtoolAcceptsTheQueriesOfTheDashboard(t *testing.T) {
	type record struct {
		Record string            `json:"record"`
		Expr   string            `json:"expr"`
		Labels map[string]string `json:"labels"`
	}
	var records []record
	for place, query := range queries(t) {
		records = append(records, record{Record: "x", Expr: query, Labels: map[string]string{"place": place}})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": records}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool.Run(t, "", "check", "rules", file)
}

// TestMetricsOfAlertsAndDashboardAreDocumented, and what is documented is held equal to what the operator tells.
func TestMetricsOfAlertsAndDashboardAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, found := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		documented[found[1]] = true
	}
	used := queries(t)
	for _, a := range alerts(t) {
		used[a.Alert] = a.Expr
	}
	seen := map[string]bool{}
	for place, query := range used {
		names := metricsOf(query)
		if len(names) == 0 {
			t.Errorf("%s names no metric: %s", place, query)
		}
		for _, name := range names {
			seen[name] = true
			if !documented[name] {
				t.Errorf("%s: there is no metric %s in docs/metrics.md", place, name)
			}
		}
	}
	for name := range documented {
		if !seen[name] && !strings.HasPrefix(name, "keyturn_") {
			t.Errorf("docs/metrics.md lists %s, which neither an alert nor the dashboard uses", name)
		}
	}
}

// metricsOf are the metrics that a query names, those of histograms without their endings: every word that is no function, label,
// duration or keyword.
func metricsOf(query string) []string {
	for _, part := range []string{`"[^"]*"`, `\{[^}]*\}`, `\[[^\]]*\]`, `\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)`} {
		query = regexp.MustCompile(part).ReplaceAllString(query, " ")
	}
	var names []string
	for _, word := range regexp.MustCompile(`[A-Za-z_:][\w:]*\s*\(?`).FindAllString(query, -1) {
		word = strings.TrimSpace(word)
		if strings.HasSuffix(word, "(") || slices.Contains([]string{"and", "or", "unless", "bool", "offset"}, word) {
			continue
		}
		names = append(names, regexp.MustCompile(`_seconds_(bucket|count|sum)$`).ReplaceAllString(word, "_seconds"))
	}
	return names
}

func TestMetricsOf(t *testing.T) {
	for query, want := range map[string][]string{
		`sum by (le, name) (rate(a_seconds_bucket{name=~"b|c"}[5m])) > 0 or vector(0)`: {"a_seconds"},
		`a - on (x) group_left (y) b_total and c unless d_count`:                       {"a", "b_total", "c", "d_count"},
		`time() - max by (a) (b_timestamp_seconds) > 7 * 24 * 3600`:                    {"b_timestamp_seconds"},
	} {
		if got := metricsOf(query); !slices.Equal(got, want) {
			t.Errorf("metrics of %s are %v, want %v", query, got, want)
		}
	}
}
