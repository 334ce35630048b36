package api_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/test/controlplane"
)

// Nothing is deleted here: admission judges a dry run as well.
func TestDefinitionsAreNotDeletedByAccident(t *testing.T) {
	c := suite.Client(t)
	folder, err := controlplane.Path("config", "crd")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range readManifests(t, os.DirFS(folder), "protection.yaml") {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), object) })
	}
	for name, kind := range kindsByDefinition() {
		definition := &unstructured.Unstructured{}
		definition.SetAPIVersion("apiextensions.k8s.io/v1")
		definition.SetKind("CustomResourceDefinition")
		definition.SetName(name)
		awaitRefusal(t, c, definition, "deletes every "+kind+" of the cluster")
		refusesCollection(t, c, name)

		forced := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"keyturn.dev/force-delete":"true"}}}`))
		if err := c.Patch(t.Context(), definition, forced); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), definition, client.DryRunAll); err != nil {
			t.Errorf("%s with the annotation was refused: %v", name, err)
		}
		unforced := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"keyturn.dev/force-delete":null}}}`))
		if err := c.Patch(t.Context(), definition, unforced); err != nil {
			t.Fatal(err)
		}
	}
}

func kindsByDefinition() map[string]string {
	named := map[string]string{}
	for _, kind := range kinds() {
		named[plural(kind)+".keyturn.dev"] = kind
	}
	return named
}

// refusesCollection asks for the deletion of all definitions of that name at once: such a request names no object.
func refusesCollection(t *testing.T, c client.Client, name string) {
	t.Helper()
	definitions := &unstructured.Unstructured{}
	definitions.SetAPIVersion("apiextensions.k8s.io/v1")
	definitions.SetKind("CustomResourceDefinition")
	err := c.DeleteAllOf(t.Context(), definitions, client.DryRunAll, client.MatchingFields{"metadata.name": name})
	if err == nil {
		t.Errorf("%s is deleted where a collection is", name)
	}
}

// awaitRefusal waits for the policy, which an API server obeys a moment after it was created.
func awaitRefusal(t *testing.T, c client.Client, definition client.Object, message string) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = c.Delete(ctx, definition, client.DryRunAll)
		return last != nil, nil
	})
	if err != nil || !strings.Contains(last.Error(), message) {
		t.Errorf("deletion of %s: the refusal does not say %q: %v", definition.GetName(), message, last)
	}
}
