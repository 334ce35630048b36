package operator

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// plantedPrefix begins the names of namespaces in which secrets are told on purpose.
const plantedPrefix = "planted-"

// TestALeakIsFound, wherever it is: else that no test finds one would say nothing.
func TestALeakIsFound(t *testing.T) {
	w := begin(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: plantedPrefix}}
	w.must(w.c.Create(t.Context(), namespace))
	ns := namespace.Name
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "till", "shop")})
	ring, token := w.secret(ns, "shop-signing-key"), w.secret(ns, "till")
	const (
		key     = "a private key that was stored"
		compact = "a token that was issued"
	)
	digits, err := base64.RawURLEncoding.DecodeString(privatePart(t, ring))
	w.must(err)
	signature := string(token.Data["token"][strings.LastIndexByte(string(token.Data["token"]), '.')+1:])
	lines := strings.Split(string(ring.Data["signing-key.pem"]), "\n")

	ours := func(name string, data map[string]string, annotations map[string]string) client.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Annotations: annotations}, Data: data}
	}
	marshalled, err := json.Marshal(token)
	w.must(err)
	for sentence, c := range map[string]struct {
		plant func(s *search) error
		where string
		what  string
	}{
		"a ConfigMap with a token": {func(*search) error {
			return w.c.Create(t.Context(), ours("a", map[string]string{"x": "Bearer " + string(token.Data["token"])}, nil))
		}, "a *v1.ConfigMap", compact},
		"a ConfigMap with the number of a private key": {func(*search) error {
			return w.c.Create(t.Context(), ours("b", map[string]string{"x": fmt.Sprintf("%d", digits)}, nil))
		}, "a *v1.ConfigMap", key},
		"an annotation with a line of PEM": {func(*search) error {
			return w.c.Create(t.Context(), ours("c", nil, map[string]string{"x": lines[1]}))
		}, "a *v1.ConfigMap", key},
		"an annotation of a Secret": {func(*search) error {
			return w.c.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
				Namespace: ns, Name: "d", Annotations: map[string]string{"x": hex.EncodeToString(digits)},
			}})
		}, "the metadata of a Secret", key},
		"the name of an entry": {func(*search) error {
			return w.c.Create(t.Context(), ours("e", map[string]string{signature: "x"}, nil))
		}, "a *v1.ConfigMap", compact},
		"an object that is gone at once": {func(*search) error {
			gone := ours("f", map[string]string{"x": signature}, nil)
			if err := w.c.Create(t.Context(), gone); err != nil {
				return err
			}
			return w.c.Delete(t.Context(), gone)
		}, "a *v1.ConfigMap", compact},
		"an event": {func(*search) error {
			return w.c.Create(t.Context(), &eventsv1.Event{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "g"}, EventTime: metav1.NowMicro(), Type: "Normal", Reason: "Told", Action: "Tell",
				Regarding: corev1.ObjectReference{Namespace: ns, Name: "till"}, ReportingController: "keyturn.dev/test", ReportingInstance: "test", Note: "signed " + signature,
			})
		}, "a *v1.Event", compact},
		"a status": {func(*search) error {
			till := w.token(ns, "till")
			till.Status.Conditions[0].Message = "issued " + signature
			return w.c.Status().Update(t.Context(), till)
		}, "a *v1alpha1.ServiceToken", compact},
		"a log of a whole Secret": {func(s *search) error {
			s.log.write("told", string(marshalled))
			return nil
		}, "the log", compact},
		"a metric": {func(*search) error {
			told := prometheus.NewGauge(prometheus.GaugeOpts{Name: "told", Help: "Tells.", ConstLabels: prometheus.Labels{"x": signature}})
			t.Cleanup(func() { metrics.Registry.Unregister(told) })
			return metrics.Registry.Register(told)
		}, "the metrics", compact},
		"an answer": {func(s *search) error {
			s.tell("an answer that is an error", `{"error_description":"`+signature+`"}`)
			return nil
		}, "an answer that is an error", compact},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := newSearch(&logBuffer{}, func(namespace string) bool { return namespace == ns })
			s.begin(t)
			s.catchUp(t)
			if err := c.plant(s); err != nil {
				t.Fatal(err)
			}
			w.eventually("it is found", func() error {
				found := s.look(t)
				if !slices.Contains(found, c.where+" has "+c.what) {
					return fmt.Errorf("found: %q", found)
				}
				return nil
			})
		})
	}
}
