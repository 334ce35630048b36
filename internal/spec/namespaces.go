package spec

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Watches says whether the operator works in a namespace.
func (o Operator) Watches(namespace string) bool {
	return len(o.WatchedNamespaces) == 0 || slices.Contains(o.WatchedNamespaces, namespace)
}

// Scopes are the namespaces to list, one by one; all of them together are metav1.NamespaceAll.
func (o Operator) Scopes() []string {
	if len(o.WatchedNamespaces) == 0 {
		return []string{metav1.NamespaceAll}
	}
	return o.WatchedNamespaces
}

// OutOfReach says that namespaces which spec.jwks.namespaces selects get no copy, the first few by name.
func OutOfReach(unwatched []string) string {
	const most = 5
	names := strings.Join(unwatched[:min(len(unwatched), most)], ", ")
	if len(unwatched) > most {
		names += ", …"
	}
	return fmt.Sprintf("spec.jwks.namespaces selects %d more that get no copy, because the operator does not watch them (--watch-namespaces): %s",
		len(unwatched), names)
}
