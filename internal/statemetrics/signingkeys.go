package statemetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

func (c *Collector) tellKey(metrics chan<- prometheus.Metric, key *v1alpha1.SigningKey) {
	ns, name := key.Namespace, key.Name
	count := map[v1alpha1.KeyState]int{v1alpha1.KeyPending: 0, v1alpha1.KeyActive: 0, v1alpha1.KeyRetired: 0, v1alpha1.KeyRevoked: 0}
	for i := range key.Status.Keys {
		count[key.Status.Keys[i].State]++
	}
	for state, n := range count {
		keysByState.tell(metrics, float64(n), ns, name, string(state))
	}
	if meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady) == nil {
		keyCondition.tell(metrics, 1, ns, name, v1alpha1.ConditionReady, string(metav1.ConditionUnknown), "")
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionPropagated, v1alpha1.ConditionRingIntact} {
		if c := meta.FindStatusCondition(key.Status.Conditions, kind); c != nil {
			keyCondition.tell(metrics, 1, ns, name, kind, string(c.Status), c.Reason)
		}
	}
	if next := key.Status.NextTransitionTime; next != nil {
		nextTransition.tell(metrics, seconds(next.Time), ns, name)
	}
	if next := c.rotation(key); !next.IsZero() {
		nextRotation.tell(metrics, seconds(next), ns, name)
	}
}

// rotation is when the Active key has signed for its period, or later when its successor, if it is there already, may sign.
func (c *Collector) rotation(key *v1alpha1.SigningKey) time.Time {
	policy := c.operator.Policy(key)
	var due time.Time
	for i := range key.Status.Keys {
		k := &key.Status.Keys[i]
		var earliest time.Time
		switch {
		case k.State == v1alpha1.KeyActive && k.ActivatedAt != nil:
			earliest = k.ActivatedAt.Add(policy.Period)
		case k.State == v1alpha1.KeyPending && k.PublishedAt != nil:
			earliest = k.PublishedAt.Add(policy.Lead())
		}
		if earliest.After(due) {
			due = earliest
		}
	}
	return due
}
