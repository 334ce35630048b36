package kube_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	applyv1alpha1 "github.com/keyturn/keyturn/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func TestConditionKeepsItsLastTransition(t *testing.T) {
	cases := map[string]struct {
		next metav1.Condition
		// moved says that the transition is a new one.
		moved bool
	}{
		"the same again":     {kube.True("Ready", "Issued", "good", 1), false},
		"another generation": {kube.True("Ready", "Issued", "good", 2), false},
		"another reason":     {kube.True("Ready", "Renewed", "good", 1), false},
		"another message":    {kube.True("Ready", "Issued", "better", 1), false},
		"another status":     {kube.False("Ready", "Issued", "good", 1), true},
		"another condition":  {kube.True("Propagated", "Issued", "good", 1), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var conditions []metav1.Condition
			kube.Condition(&conditions, kube.True("Ready", "Issued", "good", 1), epoch())
			later := epoch().Add(time.Hour)
			kube.Condition(&conditions, c.next, later.Add(time.Millisecond))
			want := c.next
			want.LastTransitionTime = metav1.Time{Time: epoch()}
			if c.moved {
				want.LastTransitionTime = metav1.Time{Time: later}
			}
			if diff := cmp.Diff(want, conditions[len(conditions)-1]); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTrueAndFalse(t *testing.T) {
	want := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Issued", Message: "good", ObservedGeneration: 3}
	if diff := cmp.Diff(want, kube.True("Ready", "Issued", "good", 3)); diff != "" {
		t.Errorf("True (-want +got):\n%s", diff)
	}
	want.Status = metav1.ConditionFalse
	if diff := cmp.Diff(want, kube.False("Ready", "Issued", "good", 3)); diff != "" {
		t.Errorf("False (-want +got):\n%s", diff)
	}
}

// TestAConditionsMessageIsReadBackAsItWasWritten finds a message that the API server would store as another one, so that the
// status would differ, and be written, at every look.
func TestAConditionsMessageIsReadBackAsItWasWritten(t *testing.T) {
	cases := map[string]struct{ message, want string }{
		"as long as the API takes":     {strings.Repeat("a", 32768), strings.Repeat("a", 32768)},
		"longer":                       {strings.Repeat("a", 32769), strings.Repeat("a", 32768)},
		"longer, cut within a letter":  {strings.Repeat("a", 32767) + "é", strings.Repeat("a", 32767)},
		"with bytes that are no UTF-8": {"a\xffb", "ab"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var conditions []metav1.Condition
			kube.Condition(&conditions, kube.False("Ready", "Retrying", c.message, 1), epoch())
			back, err := kube.Convert[metav1.Condition](conditions[0])
			if err != nil {
				t.Fatal(err)
			}
			if conditions[0].Message != c.want || back.Message != c.want {
				t.Errorf("the message has %d bytes and is read back with %d, want %d", len(conditions[0].Message), len(back.Message), len(c.want))
			}
		})
	}
}

func TestInstant(t *testing.T) {
	if got := kube.Instant(time.Time{}); got != nil {
		t.Errorf("no instant is %v, want nil", got)
	}
	got := kube.Instant(epoch().Add(999 * time.Millisecond).In(time.FixedZone("", 3600)))
	back, err := kube.Convert[metav1.Time](got)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(&metav1.Time{Time: epoch()}) || *got != *back {
		t.Errorf("the instant is %#v and is read back as %#v, want %s", got, back, epoch())
	}
}

func TestConvert(t *testing.T) {
	status := v1alpha1.ServiceTokenStatus{KeyID: "k", ObservedGeneration: 3, IssuedAt: kube.Instant(epoch())}
	got, err := kube.Convert[applyv1alpha1.ServiceTokenStatusApplyConfiguration](status)
	if err != nil {
		t.Fatal(err)
	}
	want := applyv1alpha1.ServiceTokenStatus().WithKeyID("k").WithObservedGeneration(3).WithIssuedAt(*kube.Instant(epoch()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("apply-configuration (-want +got):\n%s", diff)
	}
	back, err := kube.Convert[corev1.ConfigMap](corev1ac.ConfigMap("name", "ns").WithData(map[string]string{"a": "b"}))
	if err != nil {
		t.Fatal(err)
	}
	if back.Name != "name" || back.Namespace != "ns" || back.Data["a"] != "b" || back.Kind != "ConfigMap" {
		t.Errorf("the other way it is %v", back)
	}
}

func TestStatusPatch(t *testing.T) {
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Issued", LastTransitionTime: *kube.Instant(epoch())}
	from := v1alpha1.ServiceTokenStatus{KeyID: "k", TokenID: "a", ExpiresAt: kube.Instant(epoch()), Conditions: []metav1.Condition{ready}}
	cases := map[string]struct {
		change func(*v1alpha1.ServiceTokenStatus)
		want   string
	}{
		"what stays is left out":           {func(s *v1alpha1.ServiceTokenStatus) { s.TokenID = "b" }, `{"tokenID":"b"}`},
		"what goes is taken away":          {func(s *v1alpha1.ServiceTokenStatus) { s.ExpiresAt = nil }, `{"expiresAt":null}`},
		"what is new comes":                {func(s *v1alpha1.ServiceTokenStatus) { s.ObservedGeneration = 2 }, `{"observedGeneration":2}`},
		"conditions are replaced together": {func(s *v1alpha1.ServiceTokenStatus) { s.Conditions = nil }, `{"conditions":null}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			to := from.DeepCopy()
			c.change(to)
			patch, err := kube.StatusPatch("7", from, to)
			if err != nil {
				t.Fatal(err)
			}
			got, err := patch.Data(nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"metadata":{"resourceVersion":"7"},"status":` + c.want + `}`; string(got) != want {
				t.Errorf("the patch is %s, want %s", got, want)
			}
		})
	}
}

func TestConvertSaysWhatItCannot(t *testing.T) {
	if got, err := kube.Convert[corev1.ConfigMap](func() {}); err == nil || !strings.HasPrefix(err.Error(), "encode func()") {
		t.Errorf("a function is converted to %v, error %v", got, err)
	}
	if got, err := kube.Convert[corev1.ConfigMap]([]int{1}); err == nil || !strings.HasPrefix(err.Error(), "decode *v1.ConfigMap") {
		t.Errorf("a list is converted to %v, error %v", got, err)
	}
}

func TestNote(t *testing.T) {
	cases := map[string]struct{ message, want string }{
		"a short message stays":       {"short é", "short é"},
		"as long as allowed":          {strings.Repeat("a", 1000), strings.Repeat("a", 1000)},
		"longer":                      {strings.Repeat("a", 1001), strings.Repeat("a", 1000) + "…"},
		"longer, cut within a letter": {strings.Repeat("a", 999) + "éé", strings.Repeat("a", 999) + "…"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := kube.Note(c.message)
			// An event's note has at most 1024 bytes.
			if got != c.want || len(got) > 1024 || !utf8.ValidString(got) {
				t.Errorf("the note has %d bytes and ends in %q", len(got), got[max(0, len(got)-8):])
			}
		})
	}
}

func TestWriteOver(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "signingkeys"}, "shop", errors.New("it was changed"))
	unreached := errors.New("the API server was not reached")
	cases := map[string]struct {
		// answers are those to each write.
		answers []error
		same    bool
		readErr error
		// want is the outcome, and versions are what was written over.
		want     error
		versions []string
	}{
		"nobody has changed it":                       {answers: []error{nil}, versions: []string{"1"}},
		"the API server is away":                      {answers: []error{unreached}, want: unreached, versions: []string{"1"}},
		"something else has changed":                  {answers: []error{conflict, nil}, same: true, versions: []string{"1", "2"}},
		"the status has changed":                      {answers: []error{conflict}, want: conflict, versions: []string{"1"}},
		"it cannot be read":                           {answers: []error{conflict}, same: true, readErr: unreached, want: conflict, versions: []string{"1"}},
		"something else changes again in that moment": {answers: []error{conflict, conflict}, same: true, want: conflict, versions: []string{"1", "2"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var versions []string
			err := kube.WriteOver("1", func(version string) error {
				versions = append(versions, version)
				return c.answers[len(versions)-1]
			}, func() (string, bool, error) { return "2", c.same, c.readErr })
			if !errors.Is(err, c.want) {
				t.Errorf("the outcome is %v, want %v", err, c.want)
			}
			if diff := cmp.Diff(c.versions, versions); diff != "" {
				t.Errorf("written over (-want +got):\n%s", diff)
			}
		})
	}
}
