package recipes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// clusterVariable names the folder of a cluster of hack/cluster, in which Keyturn runs, to execute the recipes in it.
const clusterVariable = "KEYTURN_RECIPES"

func top(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRecipes(t *testing.T) {
	folder := os.Getenv(clusterVariable)
	if folder == "" {
		t.Skipf("%s is not set; make e2e executes the recipes", clusterVariable)
	}
	log.SetLogger(logr.Discard()) // The client's own.
	Execute(t, Place{Top: top(t), Cluster: folder})
}

// A page that leaves something behind would spoil the next one, and one that shows nothing proves nothing.
func TestEveryRecipeShowsSomethingAndCleansUp(t *testing.T) {
	pages, err := ReadPages(top(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) == 0 {
		t.Fatal("there is no recipe")
	}
	for _, page := range pages {
		if !slices.ContainsFunc(page.Steps, func(s Step) bool { return s.Prints != nil }) {
			t.Errorf("%s.md says of no command what it prints", page.Name)
		}
		for command, where := range map[string]bool{
			"kubectl create namespace " + namespace + "\n": false,
			"kubectl delete namespace " + namespace + "\n": true,
		} {
			if !slices.ContainsFunc(page.Steps, func(s Step) bool { return s.CleanUp == where && strings.Contains(s.Text, command) }) {
				t.Errorf("%s.md lacks the command %q before, or under, \"## %s\"", page.Name, command, cleanUpPart)
			}
		}
	}
}

// Whoever reads the list finds every recipe.
func TestEveryRecipeIsInTheList(t *testing.T) {
	pages, err := ReadPages(top(t))
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("../../docs/recipes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !strings.Contains(string(list), "("+page.Name+".md)") {
			t.Errorf("docs/recipes/README.md does not link %s.md", page.Name)
		}
	}
}
