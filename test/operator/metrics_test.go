package operator

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/promtool"
)

// documented are the rows of a table of docs/metrics.md that begin with a metric, by its name.
func documented(t *testing.T) map[string]string {
	t.Helper()
	folder, err := controlplane.Path("docs")
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(os.DirFS(folder), "metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .*$").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = row[0]
	}
	return rows
}

// fetch reads a page of metrics.
func fetch(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s, error %v", url, response.Status, err)
	}
	return string(body)
}

// TestDocumentedMetricsAreTold and no others, and they follow the rules of Prometheus.
func TestDocumentedMetricsAreTold(t *testing.T) {
	address := address(t)
	w, ns := begin(t, func(o *app.Options, _ *rest.Config) { o.MetricsAddress, o.LeaderElect = address, true }), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})

	rows := documented(t)
	page := fetch(t, http.DefaultClient, "http://"+address+"/metrics")
	promtool.Run(t, page, "check", "metrics")
	var want, got []string
	for name, row := range rows {
		if strings.HasPrefix(name, "keyturn_") {
			want = append(want, row[:strings.LastIndex(strings.TrimSuffix(row, "|"), "|")])
		} else if !strings.HasPrefix(name, "apiserver_") && !strings.Contains(page, "\n# TYPE "+name+" ") {
			t.Errorf("%s is documented and not told", name)
		}
	}
	for name, kind := range told(t) {
		got = append(got, fmt.Sprintf("| `%s` | %s ", name, kind))
		if !strings.Contains(page, "\n# TYPE "+name+" ") {
			t.Errorf("%s is registered and not on the page", name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table of docs/metrics.md (-documented +told):\n%s", diff)
	}
	if secret := strings.Split(string(w.secret(ns, "cart").Data["token"]), "."); strings.Contains(page, secret[2]) {
		t.Error("the page shows a token")
	}
}

// told are the type and the labels of each of Keyturn's metrics, as docs/metrics.md writes them.
func told(t *testing.T) map[string]string {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "keyturn_") {
			continue
		}
		labels := map[string]bool{}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		kind := strings.ToLower(family.GetType().String()) + " |"
		if len(labels) > 0 {
			kind += " `" + strings.Join(slices.Sorted(maps.Keys(labels)), "`, `") + "`"
		}
		found[family.GetName()] = kind
	}
	return found
}

// TestAPIServersTellThatTheWebhookIsAway by the metrics and labels that an alert is made of.
func TestAPIServersTellThatTheWebhookIsAway(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, map[string]string{v1alpha1.LabelVerifyPods: "enabled"})
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	w.op.stop()
	if err := w.c.Create(t.Context(), newToken(ns, "cart", "shop"), client.DryRunAll); err == nil {
		t.Error("a ServiceToken is accepted unjudged")
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "pod"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "b"}}}}
	w.must(w.c.Create(t.Context(), pod, client.DryRunAll))
	config := suite.Config(t)
	c, err := rest.HTTPClientFor(config)
	w.must(err)
	page := fetch(t, c, strings.TrimSuffix(config.Host, "/")+"/metrics")
	for _, series := range []string{
		`apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="servicetoken.keyturn.dev",`,
		`apiserver_admission_webhook_fail_open_count{name="pod.keyturn.dev",`,
	} {
		if !strings.Contains(page, series) {
			t.Errorf("the API server does not tell %s", series)
		}
	}
	w.op = startOperator(t, w.op.clock) // It lets the SigningKey go.
	w.eventually("the webhook answers", func() error {
		return w.c.Create(t.Context(), newKey(ns, "probe"), client.DryRunAll)
	})
}

// TestTheStateIsToldAsItIs through a rotation, a revocation and the end of the objects.
func TestTheStateIsToldAsItIs(t *testing.T) {
	w, ns := begin(t), suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	w.create(newToken(ns, "lost", "nobody"))
	of := fmt.Sprintf(`name="shop",namespace=%q`, ns)
	w.tells(`keyturn_signingkey_keys{`+of+`,state="Active"}`, 1)
	w.tells(fmt.Sprintf(`keyturn_servicetokens{namespace=%q,reason="Issued",signing_key="shop",signing_key_namespace=%q,status="True"}`, ns, ns), 1)
	w.tells(fmt.Sprintf(`keyturn_servicetokens{namespace=%q,reason="SigningKeyNotFound",signing_key="",signing_key_namespace="",status="False"}`, ns), 1)
	w.tells(`keyturn_signingkey_next_rotation_timestamp_seconds{`+of+`}`, float64(w.now().Add(period).Unix()))

	const activated, renewed, revoked = `keyturn_signingkey_transitions_total{transition="Activated"}`,
		`keyturn_servicetoken_issued_total{reason="Renewal"}`, `keyturn_servicetoken_issued_total{reason="KeyRevoked"}`
	before := allSeries(t)
	w.step(period - lead)
	w.tells(renewed, before[renewed]+1)
	w.tells(`keyturn_signingkey_keys{`+of+`,state="Pending"}`, 1)
	w.eventually("the Pending key is published", func() error {
		if w.key(ns, "shop").Status.Keys[0].PublishedAt == nil {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	w.step(lead + time.Second)
	w.tells(activated, before[activated]+1)
	w.tells(`keyturn_signingkey_keys{`+of+`,state="Retired"}`, 1)

	key := w.key(ns, "shop")
	bad := v1alpha1.KeyID(w.token(ns, "cart").Status.KeyID)
	w.patch(key, func() { key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{bad} })
	w.tells(revoked, before[revoked]+1)
	w.tells(`keyturn_signingkey_keys{`+of+`,state="Revoked"}`, 1)

	w.clear()
	w.eventually("nothing is told of what is gone", func() error {
		for series := range allSeries(t) {
			if strings.Contains(series, ns) {
				return fmt.Errorf("still %s", series)
			}
		}
		return nil
	})
}

// tells waits until the process tells a series with that value.
func (w *world) tells(series string, want float64) {
	w.t.Helper()
	w.eventually(series, func() error {
		if got, ok := allSeries(w.t)[series]; !ok || got != want {
			return fmt.Errorf("it is %v (told: %t), want %v", got, ok, want)
		}
		return nil
	})
}

// allSeries are the gauges and counters of this process with their values, and the histograms with their counts.
func allSeries(t testing.TB) map[string]float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			found[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
	}
	return found
}
