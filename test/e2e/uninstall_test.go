package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/e2e/party"
)

// Uninstalled, Keyturn leaves keys, tokens and JWKS where they are: a mounted token verifies until it expires. Installed
// again, it goes on with the same keys and issues nothing anew that is still good.
func mountedTokensOutliveTheOperator(t *testing.T, c *cluster) {
	namespace := c.newNamespace(t, "e2e-orphans", nil)
	key := newKey(namespace, "orders", "https://orphans.example.com")
	token := newToken(namespace, "mounted", key.Name, shortToken)
	c.create(t, key, token)
	c.awaitReady(t, key, token)
	verifier := newPod(namespace, "verifier", []string{
		"verify", "-issuer=" + key.Spec.Issuer, "-audience=" + audience, "-keep=" + keep.String(), "-jwks=/run/jwks/jwks.json",
	}, mountConfigMap("/run/jwks", key.Name+"-jwks"))
	presenter := newPod(namespace, "presenter", []string{"present", "-url=http://verifier/verify"}, mountSecret("/run/token", token.Name))
	c.create(t, newService(namespace, verifier.Name), verifier)
	c.awaitPods(t, verifier)
	c.create(t, presenter)
	c.awaitPods(t, presenter)

	c.nothingIsWrittenAnew(t, "uninstalled by Helm and installed again", func() {
		c.removeOperator(t, byHelm)
		c.mustNotDeleteTheKinds(t)
		before := counts[party.Presented](t, c, presenter)
		c.awaitExpiry(t, presenter)
		after := counts[party.Presented](t, c, presenter)
		c.report.saw(t, "without the operator", "a mounted token verified %d more times, until it expired", after.OK-before.OK)
		c.installByHelm(t)
	})
	c.awaitReady(t, key, token)
	eventually(t, "the mounted token is a new one", func() error {
		if left := counts[party.Presented](t, c, presenter); left.Tokens < 2 {
			return fmt.Errorf("the file has held %d tokens", left.Tokens)
		}
		return nil
	})
}

// mustNotDeleteTheKinds fails if a CustomResourceDefinition can be deleted by accident, and with it every object of its kind.
func (c *cluster) mustNotDeleteTheKinds(t *testing.T) {
	t.Helper()
	var definitions metav1.PartialObjectMetadataList
	definitions.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	must(t, c.List(t.Context(), &definitions))
	seen := 0
	for i := range definitions.Items {
		definition := &definitions.Items[i]
		if !strings.HasSuffix(definition.Name, "."+v1alpha1.GroupVersion.Group) {
			continue
		}
		seen++
		if err := refusedFor(c.Delete(t.Context(), definition, client.DryRunAll), "keyturn.dev/force-delete"); err != nil {
			t.Errorf("delete %s: %v", definition.Name, err)
		}
	}
	if want := len(kinds()); seen != want {
		t.Errorf("there are %d CustomResourceDefinitions of Keyturn's, want %d", seen, want)
	}
}

// awaitExpiry waits until a presenter's token is refused because it has expired, and fails if it is refused for another reason.
func (c *cluster) awaitExpiry(t *testing.T, presenter *corev1.Pod) {
	t.Helper()
	eventually(t, "the mounted token expires", func() error {
		seen := counts[party.Presented](t, c, presenter)
		for reason := range seen.Failed {
			if !strings.Contains(reason, "expired") {
				t.Errorf("a mounted token was refused: %s", reason)
			}
		}
		if seen.Failures() == 0 {
			return fmt.Errorf("%d presentations, 0 refused", seen.OK)
		}
		return nil
	})
}
