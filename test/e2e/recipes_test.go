package e2e_test

import (
	"slices"
	"testing"

	"github.com/keyturn/keyturn/test/recipes"
)

// The pages of docs/recipes are executed as they are printed. That of kube-apiserver shows that it accepts a fresh token, and
// refuses one that has expired and one whose key was revoked.
func recipesWorkAsPrinted(t *testing.T, c *cluster) {
	recipes.Execute(t, recipes.Place{Top: c.top, Cluster: c.folder})
	pages, err := recipes.ReadPages(c.top)
	must(t, err)
	c.report.saw(t, "recipes", "%d pages executed as printed", len(pages))
	if !slices.ContainsFunc(pages, func(page recipes.Page) bool { return page.Name == "kube-apiserver" }) {
		t.Error("there is no recipe for kube-apiserver, so nothing shows which tokens it accepts")
	}
	c.report.saw(t, "kube-apiserver", "accepts a fresh token, refuses an expired one and one of a revoked key, as printed in its recipe")
}
