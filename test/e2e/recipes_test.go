package e2e_test

import (
	"testing"

	"github.com/keyturn/keyturn/test/recipes"
)

// The pages of docs/recipes are executed as they are printed. That of kube-apiserver shows that it accepts a fresh token, and
// refuses one that has expired and one whose key was revoked.
func recipesWorkAsPrinted(t *testing.T, c *cluster) {
	recipes.Execute(t, recipes.Place{Top: c.top, Cluster: c.folder})
	pages, err := recipes.ReadPages(c.top)
	must(t, err)
	if !t.Failed() {
		c.report.saw(t, "recipes", "%d pages executed as printed", len(pages))
	}
}
