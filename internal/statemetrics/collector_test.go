package statemetrics_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/internal/statemetrics"
	"github.com/keyturn/keyturn/test/controlplane"
)

// at is an instant that many seconds after 1970.
func at(seconds int64) *metav1.Time { return &metav1.Time{Time: time.Unix(seconds, 0)} }

func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// signingKey has a lead of 60 seconds and a period of 1000.
func signingKey(change ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "main"},
		Spec: v1alpha1.SigningKeySpec{Rotation: v1alpha1.RotationSpec{
			Period: lasting(1000 * time.Second), VerifierCacheDuration: lasting(30 * time.Second),
			PropagationDelay: lasting(20 * time.Second), ClockSkew: lasting(10 * time.Second),
		}},
	}
	for _, f := range change {
		f(key)
	}
	return key
}

func holds(keys ...v1alpha1.KeyStatus) func(*v1alpha1.SigningKey) {
	return func(k *v1alpha1.SigningKey) {
		k.Status.Keys = keys
		for i := range keys {
			keys[i].ID = fmt.Sprint("key-", i)
		}
	}
}

func is(kind string, status metav1.ConditionStatus, reason string) func(*v1alpha1.SigningKey) {
	return func(k *v1alpha1.SigningKey) {
		k.Status.Conditions = append(k.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason})
	}
}

func serviceToken(namespace, name string, change ...func(*v1alpha1.ServiceToken)) *v1alpha1.ServiceToken {
	t := &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ServiceTokenSpec{SigningKeyRef: v1alpha1.SigningKeyReference{Namespace: "bank", Name: "main"}},
	}
	for _, f := range change {
		f(t)
	}
	return t
}

func names(key string) func(*v1alpha1.ServiceToken) {
	return func(t *v1alpha1.ServiceToken) { t.Spec.SigningKeyRef.Name = key }
}

func ready(status metav1.ConditionStatus, reason string, expires, renews *metav1.Time) func(*v1alpha1.ServiceToken) {
	return func(t *v1alpha1.ServiceToken) {
		t.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason}}
		t.Status.ExpiresAt, t.Status.NextRenewalTime = expires, renews
	}
}

func collector(ctx context.Context, objects ...client.Object) *statemetrics.Collector {
	cluster := fake.NewClientBuilder().WithScheme(controlplane.Scheme()).WithObjects(objects...).Build()
	return statemetrics.New(ctx, cluster, spec.Operator{})
}

func TestSigningKeys(t *testing.T) {
	active := v1alpha1.KeyStatus{State: v1alpha1.KeyActive, ActivatedAt: at(5000)}
	pending := func(published *metav1.Time) v1alpha1.KeyStatus {
		return v1alpha1.KeyStatus{State: v1alpha1.KeyPending, PublishedAt: published}
	}
	retired, revoked := v1alpha1.KeyStatus{State: v1alpha1.KeyRetired}, v1alpha1.KeyStatus{State: v1alpha1.KeyRevoked}
	const of = `name="main",namespace="bank"`
	cases := map[string]struct {
		key    *v1alpha1.SigningKey
		metric string
		want   []string
	}{
		"keys are counted by state, also those of which there are none": {
			signingKey(holds(pending(nil), active, retired, retired, revoked, revoked, revoked)), "signingkey_keys", []string{
				`{` + of + `,state="Pending"} 1`, `{` + of + `,state="Active"} 1`, `{` + of + `,state="Retired"} 2`, `{` + of + `,state="Revoked"} 3`,
			},
		},
		"a key that the operator has not seen": {signingKey(), "signingkey_keys", []string{
			`{` + of + `,state="Pending"} 0`, `{` + of + `,state="Active"} 0`, `{` + of + `,state="Retired"} 0`, `{` + of + `,state="Revoked"} 0`,
		}},
		"its readiness is unknown": {signingKey(), "signingkey_condition", []string{`{` + of + `,reason="",status="Unknown",type="Ready"} 1`}},
		"conditions with status and reason, and none that is not ours": {
			signingKey(is("Ready", "False", "PropagationPending"), is("Propagated", "False", "PropagationPending"), is("RingIntact", "True", "RingIntact"), is("Odd", "True", "Odd")),
			"signingkey_condition",
			[]string{
				`{` + of + `,reason="PropagationPending",status="False",type="Ready"} 1`,
				`{` + of + `,reason="PropagationPending",status="False",type="Propagated"} 1`,
				`{` + of + `,reason="RingIntact",status="True",type="RingIntact"} 1`,
			},
		},
		"the next transition": {
			signingKey(func(k *v1alpha1.SigningKey) { k.Status.NextTransitionTime = at(7) }), "signingkey_next_transition_timestamp_seconds", []string{`{` + of + `} 7`},
		},
		"no next transition":                        {signingKey(holds(active)), "signingkey_next_transition_timestamp_seconds", nil},
		"the next rotation is at a period's end":    {signingKey(holds(active)), "signingkey_next_rotation_timestamp_seconds", []string{`{` + of + `} 6000`}},
		"also while the successor is not published": {signingKey(holds(pending(nil), active)), "signingkey_next_rotation_timestamp_seconds", []string{`{` + of + `} 6000`}},
		"also when the successor may sign before":   {signingKey(holds(pending(at(5939)), active)), "signingkey_next_rotation_timestamp_seconds", []string{`{` + of + `} 6000`}},
		"a successor that was published late": {
			signingKey(holds(pending(at(5941)), active)), "signingkey_next_rotation_timestamp_seconds", []string{`{` + of + `} 6001`},
		},
		"no rotation without a key": {signingKey(), "signingkey_next_rotation_timestamp_seconds", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			compare(t, collector(t.Context(), c.key), c.metric, c.want...)
		})
	}
}

func TestServiceTokens(t *testing.T) {
	const of = `signing_key="main",signing_key_namespace="bank"`
	const ofNone = `signing_key="",signing_key_namespace=""`
	issued := func(name string, expires, renews int64) *v1alpha1.ServiceToken {
		return serviceToken("shop", name, ready("True", "Issued", at(expires), at(renews)))
	}
	cases := map[string]struct {
		objects []client.Object
		metric  string
		want    []string
	}{
		"tokens are counted by status and reason": {
			[]client.Object{issued("a", 9, 5), issued("b", 9, 5), serviceToken("shop", "c", ready("False", "NotAllowed", at(3), nil)), serviceToken("shop", "d")},
			"servicetokens",
			[]string{
				`{namespace="shop",reason="Issued",` + of + `,status="True"} 2`, `{namespace="shop",reason="NotAllowed",` + of + `,status="False"} 1`, `{namespace="shop",reason="",` + of + `,status="Unknown"} 1`,
			},
		},
		"each namespace by itself": {[]client.Object{serviceToken("shop", "a"), serviceToken("bank", "a")}, "servicetokens", []string{
			`{namespace="shop",reason="",` + of + `,status="Unknown"} 1`, `{namespace="bank",reason="",` + of + `,status="Unknown"} 1`,
		}},
		"a key's name is a label only if there is such a key": {
			[]client.Object{serviceToken("shop", "a", names("x")), serviceToken("shop", "b", names("y")), serviceToken("shop", "c")}, "servicetokens", []string{
				`{namespace="shop",reason="",` + ofNone + `,status="Unknown"} 2`, `{namespace="shop",reason="",` + of + `,status="Unknown"} 1`,
			},
		},
		"the soonest expiry, by status": {
			[]client.Object{issued("a", 9, 5), issued("b", 8, 6), serviceToken("shop", "c", ready("False", "NotAllowed", at(3), nil)), serviceToken("shop", "d")},
			"servicetoken_soonest_expiry_timestamp_seconds",
			[]string{`{namespace="shop",` + of + `,status="True"} 8`, `{namespace="shop",` + of + `,status="False"} 3`},
		},
		"the soonest renewal": {
			[]client.Object{issued("a", 9, 5), issued("b", 8, 6)}, "servicetoken_soonest_renewal_timestamp_seconds", []string{`{namespace="shop",` + of + `} 5`},
		},
		"nothing expires that was not issued": {[]client.Object{serviceToken("shop", "a")}, "servicetoken_soonest_expiry_timestamp_seconds", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			compare(t, collector(t.Context(), append(c.objects, signingKey())...), c.metric, c.want...)
		})
	}
}

// compare collects one metric and compares its series.
func compare(t *testing.T, c *statemetrics.Collector, metric string, want ...string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, family := range families {
		if family.GetName() != "keyturn_"+metric {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			got = append(got, fmt.Sprintf("{%s} %v", strings.Join(labels, ","), m.GetGauge().GetValue()))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series of %s (-want +got):\n%s", metric, diff)
	}
}

func TestNamesFollowTheRulesOfPrometheus(t *testing.T) {
	faults, err := testutil.CollectAndLint(collector(t.Context(), signingKey(), serviceToken("shop", "a")))
	if err != nil || len(faults) > 0 {
		t.Errorf("faults are %v, error %v", faults, err)
	}
}

// TestCachesThatCannotBeReadTellNothing and do not keep the other metrics of the process from being told.
func TestCachesThatCannotBeReadTellNothing(t *testing.T) {
	broken := interceptor.NewClient(fake.NewClientBuilder().WithScheme(controlplane.Scheme()).WithObjects(signingKey()).Build(), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.ServiceTokenList); ok {
				return errors.New("not yet")
			}
			return c.List(ctx, list, options...)
		},
	})
	if n := testutil.CollectAndCount(statemetrics.New(t.Context(), broken, spec.Operator{})); n != 0 {
		t.Errorf("%d series are told although the ServiceTokens are not known", n)
	}
}
