package recipes

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// besideVariable, when set, asks for the recipes to be executed. It holds the command that starts another one beside the
// cluster of KUBECONFIG, such as ".cache/bin/cluster exec --"; env, where this machine can reach Services by their names.
const besideVariable = "KEYTURN_RECIPES"

const (
	pageDeadline  = 5 * time.Minute
	programsGrace = 15 * time.Second
)

func pages(t *testing.T) []Page {
	t.Helper()
	paths, err := filepath.Glob("../../docs/recipes/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var pages []Page
	for _, path := range paths {
		if filepath.Base(path) == "README.md" {
			continue
		}
		page, err := ReadPage(path)
		if err != nil {
			t.Error(err)
		}
		pages = append(pages, page)
	}
	if len(pages) == 0 {
		t.Fatal("there is no recipe")
	}
	return pages
}

// A page that leaves something behind, or shows nothing, would spoil the next one or prove nothing.
func TestEveryRecipeShowsSomethingAndCleansUp(t *testing.T) {
	for _, page := range pages(t) {
		if !slices.ContainsFunc(page.Steps, func(s Step) bool { return s.Prints != nil }) {
			t.Errorf("%s.md says of no command what it prints", page.Name)
		}
		if !slices.ContainsFunc(page.Steps, func(s Step) bool { return s.CleanUp }) {
			t.Errorf("%s.md has no commands under \"## %s\"", page.Name, cleanUpPart)
		}
	}
}

func TestRecipes(t *testing.T) {
	beside := strings.Fields(os.Getenv(besideVariable))
	if len(beside) == 0 {
		t.Skipf("%s is not set: make e2e executes the recipes", besideVariable)
	}
	environment := kitchenEnvironment(t)
	stockUp(t, environment)
	for _, page := range pages(t) {
		t.Run(page.Name, func(t *testing.T) {
			before := namespaces(t, beside, environment)
			ctx, cancel := context.WithTimeout(t.Context(), pageDeadline)
			defer cancel()
			kitchen := Kitchen{Beside: beside, Folder: folder(t), Grace: programsGrace, Environment: environment}
			if err := kitchen.Run(ctx, page); err != nil {
				t.Error(err)
			}
			if after := namespaces(t, beside, environment); after != before {
				t.Errorf("the namespaces were\n%s\nand are\n%s", before, after)
			}
		})
	}
}

// folder is one that programs which gave up root can reach, if they know where.
func folder(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	for _, each := range []string{filepath.Dir(path), path} {
		if err := os.Chmod(each, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// kitchenEnvironment has kubectl, and beyond that only Debian's programs: a recipe tells what it needs.
func kitchenEnvironment(t *testing.T) []string {
	t.Helper()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(),
		"PATH="+filepath.Dir(kubectl)+":/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME="+t.TempDir(),
		"npm_config_prefer_offline=true",
	)
}

// stockUp puts the npm packages that recipes install into npm's cache: a network namespace may have no way to the registry.
func stockUp(t *testing.T, environment []string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "npm", "cache", "add", "jose@5")
	command.Env = environment
	if printed, err := command.CombinedOutput(); err != nil {
		t.Fatalf("put jose into npm's cache: %v\n%s", err, printed)
	}
}

func namespaces(t *testing.T, beside, environment []string) string {
	t.Helper()
	arguments := append(slices.Clone(beside), "kubectl", "get", "namespaces", "--output=name")
	command := exec.CommandContext(t.Context(), arguments[0], arguments[1:]...)
	command.Env = environment
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("list namespaces: %v\n%s", err, printed)
	}
	return string(printed)
}
