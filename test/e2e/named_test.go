package e2e_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An operator that is told which namespaces to look at works there, and has no rights and does nothing elsewhere. This one is a single
// replica that keeps refresh tokens in a file.
func inNamedNamespaces(t *testing.T, c *cluster) {
	c.isEmpty(t)
	defer c.removeAll(t, byHelm)
	tenant := c.newNamespace(t, "e2e-tenant", nil)
	stranger := c.newNamespace(t, "e2e-stranger", nil)
	c.installChart(t, c.withStore(t), tenant)
	for _, right := range c.grantedRights(t) {
		if right.Namespace == "" && (right.Resource == "secrets" || right.Resource == "configmaps") {
			t.Errorf("the operator may do what is not needed: %s", right)
		}
	}
	unseen := newKey(stranger, "unseen", "https://unseen.example.com")
	c.create(t, unseen)
	p := c.newParties(t, tenant)
	f := p.during(t, func() { p.awaitRotations(t, 1) })
	must(t, c.Get(t.Context(), client.ObjectKeyFromObject(unseen), unseen))
	if len(unseen.Status.Conditions) > 0 {
		t.Errorf("a key in a namespace that is not named has the conditions %v, want none", unseen.Status.Conditions)
	}
	var secrets corev1.SecretList
	must(t, c.List(t.Context(), &secrets, client.InNamespace(stranger)))
	if len(secrets.Items) > 0 {
		t.Errorf("a namespace that is not named has got %d Secrets, want none", len(secrets.Items))
	}
	t.Run("a refresh token outlives the replica", func(t *testing.T) { refreshTokensOutliveTheReplica(t, p) })
	p.stop()
	c.noSecretIsTold(t)
	c.report.saw(t, "namespaces that are named", "%s; a key elsewhere is left alone", f)
}
