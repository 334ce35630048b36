package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The samples' namespaces, as config/samples names them.
const (
	samplesNamespace = "keyturn-samples"
	partnerNamespace = "keyturn-samples-partner"
)

// The commands of the README, as printed there.
func samplesBecomeReady(t *testing.T, c *cluster) {
	c.applySamples(t)
	var ready []string
	for _, kind := range kinds() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
		must(t, c.List(t.Context(), list))
		if len(list.Items) == 0 {
			t.Errorf("the samples have no %s", kind)
		}
		ready = append(ready, fmt.Sprintf("%s %d", kind, len(list.Items)))
	}
	c.report.saw(t, "samples", "Ready are: %s", strings.Join(ready, ", "))
}

// kinds are those of Keyturn's API.
func kinds() []string {
	return []string{"SigningKey", "ServiceToken", "TokenClient", "TokenRevocation", "TokenPolicy"}
}

func (c *cluster) applySamples(t *testing.T) {
	t.Helper()
	c.made(samplesNamespace, partnerNamespace)
	c.kubectl(t, "apply", "--filename=config/samples")
	for _, namespace := range []string{samplesNamespace, partnerNamespace} {
		c.kubectl(t, "wait", "--for=condition=Ready", "keyturn", "--all", "--namespace="+namespace, "--timeout=60s")
	}
}

// A namespace that is no longer selected loses its copy of the JWKS, and has it again when it is.
func copiesFollowTheirSelector(t *testing.T, c *cluster) {
	published := &corev1.ConfigMap{}
	name := client.ObjectKey{Namespace: partnerNamespace, Name: "shared-jwks"}
	label := func(value any) {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{"example.com/trusts": value}}})
		must(t, err)
		namespace := &corev1.Namespace{}
		namespace.Name = partnerNamespace
		must(t, c.Patch(t.Context(), namespace, client.RawPatch(types.MergePatchType, patch)))
	}
	must(t, c.Get(t.Context(), name, published))
	label(nil)
	eventually(t, "the copy of a namespace that is not selected goes", func() error { return gone(c.Get(t.Context(), name, published)) })
	label(samplesNamespace)
	eventually(t, "the copy comes back", func() error { return c.Get(t.Context(), name, published) })
	c.report.saw(t, "copies of a JWKS", "one goes with its namespace's label, and comes back with it")
}
