package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The headings of docs/install.md whose commands are run.
const (
	withKubectl     = "### With kubectl"
	withKustomize   = "### With kustomize"
	withoutOperator = "### The operator, and keep keys and tokens"
	removeObjects   = "### Keys and tokens"
	removeTheKinds  = "### The definitions"
	byKubectl       = 1
	byHelm          = 2
	operatorTimeout = "--timeout=2m"
)

// installByHelm installs or upgrades the chart, for all namespaces or those that are named.
func (c *cluster) installByHelm(t *testing.T, named ...string) {
	t.Helper()
	c.installChart(t, nil, named...)
}

// installChart installs or upgrades the chart with values of its own, and waits as Helm does until all of it is ready.
func (c *cluster) installChart(t *testing.T, values []string, named ...string) {
	t.Helper()
	started := c.clock.Now()
	c.newOperatorNamespace(t)
	arguments := []string{
		"upgrade", "--install", operatorName, "charts/keyturn", "--namespace=" + operatorNamespace,
		"--values=test/e2e/testdata/values.yaml", "--wait", operatorTimeout,
	}
	if len(named) > 0 {
		values = append(values, "watchNamespaces={"+strings.Join(named, ",")+"}")
	}
	for _, value := range values {
		arguments = append(arguments, "--set="+value)
	}
	c.run(t, "helm", arguments...)
	c.installed(t, named...)
	c.report.saw(t, "Helm", "installed or upgraded, and Ready after %.0f s", c.clock.Since(started).Seconds())
}

func (c *cluster) newOperatorNamespace(t *testing.T) {
	t.Helper()
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	must(t, client.IgnoreAlreadyExists(c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace, Labels: labels}})))
}

// installByGuide runs the commands below a heading of docs/install.md.
func (c *cluster) installByGuide(t *testing.T, heading string) {
	t.Helper()
	started := c.clock.Now()
	c.guide(t, heading, 1)
	c.kubectl(t, "rollout", "status", "deployment/"+operatorName, "--namespace="+operatorNamespace, operatorTimeout)
	c.installed(t)
	c.report.saw(t, strings.TrimPrefix(heading, "### With "), "installed or applied again, and Ready after %.0f s", c.clock.Since(started).Seconds())
}

// nameURL tells the operator that was installed by the guide where verifiers reach it, by a patch as the guide has one.
func (c *cluster) nameURL(t *testing.T) {
	t.Helper()
	c.rollOut(t, "patch", "--type=json", `--patch=[{"op":"add","path":"/spec/template/spec/containers/0/args","value":["--external-url=`+externalURL+`"]}]`)
}

// installed notes an install that has become ready.
func (c *cluster) installed(t *testing.T, named ...string) {
	t.Helper()
	c.awaitOperator(t)
	c.awaitAdmission(t, named...)
	c.noteRights(t, named...)
	c.installs++
}

// awaitAdmission waits until the API server reaches the webhook: the node learns of a Service's new addresses a moment after they are
// ready.
func (c *cluster) awaitAdmission(t *testing.T, named ...string) {
	t.Helper()
	key := newKey(append(named, metav1.NamespaceDefault)[0], "asked", "https://asked.example.com")
	key.Spec.Rotation = v1alpha1.RotationSpec{Period: seconds(30 * 24 * time.Hour)} // Others are too short for an install as it is for users.
	key.Spec.Tokens = v1alpha1.TokensSpec{}
	eventually(t, "the API server reaches admission", func() error {
		return c.Create(t.Context(), key.DeepCopy(), client.DryRunAll)
	})
}

// isEmpty fails if the cluster has anything of Keyturn's, so that an install really begins from nothing.
func (c *cluster) isEmpty(t *testing.T) {
	t.Helper()
	if left := c.leftovers(t); len(left) > 0 {
		t.Errorf("the cluster is not empty, it has %s", strings.Join(left, ", "))
	}
}

// leftovers are the objects of an install that are in no namespace, and the namespace of the operator.
func (c *cluster) leftovers(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, kind := range []schema.GroupVersionKind{
		apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"),
		admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"),
		admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"),
		admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"),
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"), rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
		corev1.SchemeGroupVersion.WithKind("Namespace"),
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		must(t, c.List(t.Context(), list))
		for _, object := range list.Items {
			if strings.Contains(object.Name, "keyturn") {
				found = append(found, kind.Kind+" "+object.Name)
			}
		}
	}
	return found
}

// removeAll takes everything down, in the order and by the commands of docs/install.md, so that nothing of Keyturn is left.
func (c *cluster) removeAll(t *testing.T, way int) {
	t.Helper()
	c.guide(t, removeObjects, 1)
	eventually(t, "Secrets and ConfigMaps go with their objects", func() error { return c.nothingManaged(t) })
	// Before the namespaces, with which go the rights that an operator may have in them.
	c.removeOperator(t, way)
	c.kubectl(t, append([]string{"delete", "namespace", "--ignore-not-found", operatorTimeout}, c.namespaces...)...)
	c.namespaces = nil
	c.guide(t, removeTheKinds, 1)
	c.kubectl(t, "delete", "namespace", operatorNamespace, "--ignore-not-found", operatorTimeout)
	if left := c.leftovers(t); len(left) > 0 {
		t.Errorf("after the removal there is still %s", strings.Join(left, ", "))
	}
}

// removal is the time in which an operator is taken down.
type removal struct{ from, to time.Time }

// removeOperator runs the commands that leave keys and tokens, and waits until no replica runs any more.
func (c *cluster) removeOperator(t *testing.T, way int) {
	t.Helper()
	from := c.clock.Now()
	c.guide(t, withoutOperator, way)
	eventually(t, "the operator's pods go", func() error {
		if left := len(c.replicas(t)); left > 0 {
			return fmt.Errorf("there are %d", left)
		}
		return nil
	})
	c.removals = append(c.removals, removal{from: from, to: c.clock.Now()})
}

// nothingManaged says what is left of what Keyturn has written for SigningKeys and ServiceTokens.
func (c *cluster) nothingManaged(t *testing.T) error {
	t.Helper()
	elsewhere, err := fields.ParseSelector("metadata.namespace!=" + operatorNamespace)
	must(t, err)
	var secrets corev1.SecretList
	var configMaps corev1.ConfigMapList
	for _, list := range []client.ObjectList{&secrets, &configMaps} {
		must(t, c.List(t.Context(), list, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, client.MatchingFieldsSelector{Selector: elsewhere}))
	}
	if left := len(secrets.Items) + len(configMaps.Items); left > 0 {
		return fmt.Errorf("there are %d Secrets and %d ConfigMaps", len(secrets.Items), len(configMaps.Items))
	}
	return nil
}
