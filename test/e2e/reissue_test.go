package e2e_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// version is one write of an object.
type version struct{ UID, ResourceVersion string }

// versions are those of all that Keyturn has written for the samples, whose tokens live for an hour: a ring, a JWKS or a
// token that is written again shows here.
func (c *cluster) versions(t *testing.T) map[string]version {
	t.Helper()
	found := map[string]version{}
	ours := client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	for _, namespace := range []string{samplesNamespace, partnerNamespace} {
		var secrets corev1.SecretList
		var configMaps corev1.ConfigMapList
		must(t, c.List(t.Context(), &secrets, client.InNamespace(namespace), ours), c.List(t.Context(), &configMaps, client.InNamespace(namespace), ours))
		for i := range secrets.Items {
			found[string(secrets.Items[i].Type)+" "+namespace+"/"+secrets.Items[i].Name] = versionOf(&secrets.Items[i])
		}
		for i := range configMaps.Items {
			found["ConfigMap "+namespace+"/"+configMaps.Items[i].Name] = versionOf(&configMaps.Items[i])
		}
	}
	if len(found) == 0 {
		t.Fatal("the samples have no Secrets and ConfigMaps")
	}
	return found
}

func versionOf(object client.Object) version {
	return version{UID: string(object.GetUID()), ResourceVersion: object.GetResourceVersion()}
}

// nothingIsWrittenAnew fails if what is done makes Keyturn write anew any ring, JWKS or token that is still good.
func (c *cluster) nothingIsWrittenAnew(t *testing.T, scenario string, done ...func()) {
	t.Helper()
	before := c.versions(t)
	for _, do := range done {
		do()
	}
	c.awaitLooked(t)
	if diff := cmp.Diff(before, c.versions(t)); diff != "" {
		t.Errorf("%s: objects were written anew (-before +after):\n%s", scenario, diff)
	}
	c.report.saw(t, scenario, "%d Secrets and ConfigMaps of the samples, none written anew", len(before))
}

// awaitLooked waits until the operator has acted on something that happens now: by then it has looked at all the rest.
func (c *cluster) awaitLooked(t *testing.T) {
	t.Helper()
	c.awaitOperator(t)
	c.mustLead(t)
	token := newToken(samplesNamespace, "", "orders", 0)
	token.GenerateName, token.Spec.ServiceAccountName, token.Spec.Duration = "looked-", "looked", nil
	c.create(t, token)
	c.awaitReady(t, token)
	must(t, c.Delete(t.Context(), token))
	eventually(t, "the Secret of the ServiceToken that asked goes", func() error {
		return gone(c.Get(t.Context(), client.ObjectKeyFromObject(token), &corev1.Secret{}))
	})
}
