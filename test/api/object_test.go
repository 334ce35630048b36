package api_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// edit changes an object: each value goes to the path that is its key, and nil removes what is there. Steps of a path are
// separated by dots, so maps whose keys have dots, and lists, are set as a whole.
type edit map[string]any

func (e edit) apply(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(e)) {
		steps := strings.Split(path, ".")
		if e[path] == nil {
			unstructured.RemoveNestedField(object.Object, steps...)
			continue
		}
		if err := unstructured.SetNestedField(object.Object, e[path], steps...); err != nil {
			t.Fatalf("set %s: %v", path, err)
		}
	}
}

// and joins two edits.
func (e edit) and(other edit) edit {
	both := maps.Clone(e)
	maps.Copy(both, other)
	return both
}

func (e edit) ofStatus() bool {
	for path := range e {
		if strings.HasPrefix(path, "status") {
			return true
		}
	}
	return false
}

// signingKey has the shortest lead and the longest period, so that every duration can be tried alone.
func signingKey() *unstructured.Unstructured {
	return object("SigningKey", map[string]any{
		"issuer": "https://issuer.example",
		"rotation": map[string]any{
			"period":                "87600h",
			"verifierCacheDuration": "0s",
			"propagationDelay":      "0s",
			"clockSkew":             "0s",
		},
	})
}

// serviceToken lives as long as it may, so that every renewBefore can be tried alone.
func serviceToken() *unstructured.Unstructured {
	return object("ServiceToken", map[string]any{
		"signingKeyRef": map[string]any{"name": "key"},
		"subject":       "alice",
		"audiences":     []any{"api"},
		"duration":      "8760h",
	})
}

// tokenClient refreshes for as short and as long as it may, so that both durations can be tried alone.
func tokenClient() *unstructured.Unstructured {
	return object("TokenClient", map[string]any{
		"signingKeyRef":  map[string]any{"name": "key"},
		"authentication": map[string]any{"clientSecret": map[string]any{}},
		"grantTypes":     []any{"ClientCredentials", "RefreshToken"},
		"audiences":      []any{"api"},
		"refreshToken":   map[string]any{"idleDuration": "1s", "absoluteDuration": "8760h"},
	})
}

func tokenRevocation() *unstructured.Unstructured {
	return object("TokenRevocation", map[string]any{"signingKeyName": "key", "issuedBefore": "2026-01-01T00:00:00Z"})
}

func tokenPolicy() *unstructured.Unstructured {
	return object("TokenPolicy", map[string]any{
		"issuers":   []any{map[string]any{"signingKeyRef": map[string]any{"name": "key"}}},
		"audiences": []any{"api"},
	})
}

func object(kind string, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "subject", "namespace": "default"},
		"spec":     spec,
	}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return object
}

// list has n members, made by their number.
func list(n int, member func(i int) any) []any {
	members := make([]any, n)
	for i := range members {
		members[i] = member(i)
	}
	return members
}

// entries has n members under the keys k0, k1 and so on.
func entries(n int, value any) map[string]any {
	members := map[string]any{}
	for i := range n {
		members["k"+strconv.Itoa(i)] = value
	}
	return members
}
