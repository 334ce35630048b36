package statemetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// group is ServiceTokens that are told together. There are no more of them than namespaces times SigningKeys.
type group struct {
	namespace string
	key       types.NamespacedName
}

func (g group) labels(more ...string) []string {
	return append([]string{g.namespace, g.key.Namespace, g.key.Name}, more...)
}

// statusGroup is those of a group whose Ready has one status.
type statusGroup struct {
	group
	status metav1.ConditionStatus
}

// reasonGroup is those of them whose Ready has one reason.
type reasonGroup struct {
	statusGroup
	reason string
}

// tellTokens tells of ServiceTokens in groups. Whoever writes ServiceTokens chooses the name of a SigningKey freely, so a name
// becomes a label only if it is that of one which is known.
func tellTokens(metrics chan<- prometheus.Metric, tokens []v1alpha1.ServiceToken, known map[types.NamespacedName]bool) {
	count := map[reasonGroup]int{}
	expiry := map[statusGroup]time.Time{}
	renewal := map[group]time.Time{}
	for i := range tokens {
		t := &tokens[i]
		g := reasonGroup{statusGroup: statusGroup{group: group{namespace: t.Namespace}, status: metav1.ConditionUnknown}}
		if key := spec.KeyRef(t); known[key] {
			g.key = key
		}
		if ready := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			g.status, g.reason = ready.Status, ready.Reason
		}
		count[g]++
		sooner(expiry, g.statusGroup, t.Status.ExpiresAt)
		sooner(renewal, g.group, t.Status.NextRenewalTime)
	}
	for g, n := range count {
		tokensByCondition.tell(metrics, float64(n), g.labels(string(g.status), g.reason)...)
	}
	for g, at := range expiry {
		soonestExpiry.tell(metrics, seconds(at), g.labels(string(g.status))...)
	}
	for g, at := range renewal {
		soonestRenewal.tell(metrics, seconds(at), g.labels()...)
	}
}

// sooner keeps the earliest instant of each group.
func sooner[G comparable](earliest map[G]time.Time, g G, at *metav1.Time) {
	if at == nil {
		return
	}
	if best, ok := earliest[g]; !ok || at.Time.Before(best) {
		earliest[g] = at.Time
	}
}
