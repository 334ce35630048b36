package e2e_test

import (
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// noSecretIsTold looks for private keys, tokens and client secrets in all that anybody may read, as it is now.
func (c *cluster) noSecretIsTold(t *testing.T) {
	t.Helper()
	texts := map[string]string{}
	for name, list := range map[string]client.ObjectList{
		"SigningKeys": &v1alpha1.SigningKeyList{}, "ServiceTokens": &v1alpha1.ServiceTokenList{},
		"TokenClients": &v1alpha1.TokenClientList{}, "TokenRevocations": &v1alpha1.TokenRevocationList{}, "TokenPolicies": &v1alpha1.TokenPolicyList{},
		"ConfigMaps": &corev1.ConfigMapList{}, "events": &eventsv1.EventList{},
	} {
		must(t, c.List(t.Context(), list))
		text, err := json.Marshal(list)
		must(t, err)
		texts[name] = string(text)
	}
	for _, pod := range c.replicas(t) {
		texts["metrics of "+pod.Name] = c.metrics(t, &pod)
	}
	c.search(t, texts)
}

// search fails for each text in which a secret stands.
func (c *cluster) search(t *testing.T, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		for _, found := range c.secrets.Find(text) {
			t.Errorf("%s: %s stands there", name, found)
		}
		c.searched += len(text)
	}
}

// metrics scrapes a replica.
func (c *cluster) metrics(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	text, err := c.ask(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/metrics")
	if err != nil {
		t.Fatalf("scrape %s: %v", pod.Name, err)
	}
	return string(text)
}

// Neither a log nor anything else that may be read by somebody who may not read Secrets tells a private key, a token or a
// client secret.
func nothingLeaks(t *testing.T, c *cluster, kept *logs) {
	texts := kept.texts(t)
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if size == 0 {
		t.Fatal("the operator has logged nothing")
	}
	c.search(t, texts)
	c.report.saw(t, "secrets", "%d tokens, assertions, client secrets and parts of private keys looked for in %d KiB of logs of %d containers, objects and metrics: 0 found",
		c.secrets.Known(), c.searched>>10, len(texts))
}

// mustFindWhatIsThere fails if the search does not find the secrets where they do stand.
func (c *cluster) mustFindWhatIsThere(t *testing.T) {
	t.Helper()
	var secrets corev1.SecretList
	must(t, c.List(t.Context(), &secrets, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}))
	var text strings.Builder
	for _, secret := range secrets.Items {
		for _, content := range secret.Data {
			text.Write(content)
		}
	}
	if found := c.secrets.Find(text.String()); len(found) < 6 {
		t.Errorf("in the Secrets themselves only %q is found: the search is blind", found)
	}
}

// Metrics are such as Prometheus' own checker likes.
func metricsAreInOrder(t *testing.T, c *cluster) {
	leader, _ := c.mustLead(t)
	text := c.metrics(t, get(t, c, operatorNamespace, leader, &corev1.Pod{}))
	if !strings.Contains(text, "keyturn_") {
		t.Error("the replica that leads has no metric of Keyturn's own")
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("there is no promtool: install the Debian package prometheus")
	}
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if output, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, output)
	}
	c.report.saw(t, "metrics", "%d lines, promtool check metrics has nothing against them", strings.Count(text, "\n"))
}
