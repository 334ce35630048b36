package denylist

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// patience bounds the wait for caches that are being filled.
const patience = 5 * time.Second

// collector tells Prometheus how long the lists are.
type collector struct {
	lists *Lists
	begin func() (context.Context, context.CancelFunc)
}

// Collector tells how many entries the deny list of each SigningKey has, until ctx is done.
func (l *Lists) Collector(ctx context.Context) prometheus.Collector {
	return &collector{lists: l, begin: func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, patience) }}
}

// docs/metrics.md lists all metrics.
func entries() *prometheus.Desc {
	return prometheus.NewDesc("keyturn_denylist_entries",
		"Entries of a SigningKey's deny list: its TokenRevocations that are not over, and its revoked keys.", []string{"namespace", "name"}, nil)
}

// Describe is for prometheus.Collector.
func (*collector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- entries() }

// Collect is for prometheus.Collector. It tells nothing while the caches are being filled.
func (c *collector) Collect(told chan<- prometheus.Metric) {
	ctx, cancel := c.begin()
	defer cancel()
	if err := c.collect(ctx, told); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).V(1).Info("deny lists are not told to Prometheus", "because", err.Error())
	}
}

func (c *collector) collect(ctx context.Context, told chan<- prometheus.Metric) error {
	var keys v1alpha1.SigningKeyList
	if err := c.lists.source.Reader.List(ctx, &keys, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list SigningKeys: %w", err)
	}
	for i := range keys.Items {
		key := client.ObjectKeyFromObject(&keys.Items[i])
		list, err := c.lists.Of(ctx, key)
		if err != nil {
			return err
		}
		told <- prometheus.MustNewConstMetric(entries(), prometheus.GaugeValue, float64(list.Len()), key.Namespace, key.Name)
	}
	return nil
}
