package api_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/controlplane"
)

// The samples are accepted in the order in which kubectl apply -f takes them, without a field that does not exist.
func TestSamples(t *testing.T) {
	c := client.WithFieldValidation(suite.Client(t), "Strict")
	folder, err := controlplane.Path("config", "samples")
	if err != nil {
		t.Fatal(err)
	}
	samples := os.DirFS(folder)
	files, err := fs.Glob(samples, "*")
	if err != nil {
		t.Fatal(err)
	}
	applied := map[string]int{}
	for _, file := range files {
		for _, object := range readManifests(t, samples, file) {
			if err := c.Create(t.Context(), object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			applied[object.GetKind()]++
		}
	}
	for _, kind := range kinds() {
		if applied[kind] == 0 {
			t.Errorf("applied %v, want samples of every kind", applied)
		}
	}
	checkProductionFloors(t, c)
}

// checkProductionFloors checks that no sample is refused by an operator that runs with its default flags.
func checkProductionFloors(t *testing.T, c client.Client) {
	t.Helper()
	const floor = 5 * time.Minute
	var keys v1alpha1.SigningKeyList
	var tokens v1alpha1.ServiceTokenList
	var clients v1alpha1.TokenClientList
	inSamples := client.InNamespace("keyturn-samples")
	if err := errors.Join(c.List(t.Context(), &keys, inSamples), c.List(t.Context(), &tokens, inSamples), c.List(t.Context(), &clients, inSamples)); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys.Items {
		if key.Spec.Rotation.Period.Duration < floor || key.Spec.Tokens.MaxDuration.Duration < floor {
			t.Errorf("SigningKey %s has a period or maxDuration below %s", key.Name, floor)
		}
	}
	for _, token := range tokens.Items {
		if token.Spec.Duration.Duration < floor {
			t.Errorf("ServiceToken %s has a duration below %s", token.Name, floor)
		}
	}
	for _, asking := range clients.Items {
		if asking.Spec.AccessTokenDuration.Duration < floor {
			t.Errorf("TokenClient %s has an accessTokenDuration below %s", asking.Name, floor)
		}
	}
}

func readManifests(t *testing.T, folder fs.FS, file string) []*unstructured.Unstructured {
	t.Helper()
	content, err := fs.ReadFile(folder, file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
}
