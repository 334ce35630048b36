package statemetrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// patience bounds the wait for caches that are being filled. Prometheus itself waits ten seconds unless told otherwise.
const patience = 5 * time.Second

// Collector is a prometheus.Collector that reads SigningKeys and ServiceTokens.
type Collector struct {
	reader   client.Reader
	operator spec.Operator
	begin    func() (context.Context, context.CancelFunc)
}

var _ prometheus.Collector = (*Collector)(nil)

// New makes a Collector that reads from a cache until ctx is done.
func New(ctx context.Context, cache client.Reader, operator spec.Operator) *Collector {
	return &Collector{reader: cache, operator: operator, begin: func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, patience)
	}}
}

// Describe is for prometheus.Collector.
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, m := range all() {
		descriptions <- m.desc
	}
}

// Collect is for prometheus.Collector. Where the caches cannot be read, because they are not filled yet, it tells nothing, and
// what else is scraped with it is told all the same.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := c.begin()
	defer cancel()
	if err := c.collect(ctx, metrics); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).V(1).Info("no state is told to Prometheus", "because", err.Error())
	}
}

func (c *Collector) collect(ctx context.Context, metrics chan<- prometheus.Metric) error {
	// Nothing below changes an object, so none has to be copied.
	var keys v1alpha1.SigningKeyList
	if err := c.reader.List(ctx, &keys, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list SigningKeys: %w", err)
	}
	var tokens v1alpha1.ServiceTokenList
	if err := c.reader.List(ctx, &tokens, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list ServiceTokens: %w", err)
	}
	known := make(map[types.NamespacedName]bool, len(keys.Items))
	for i := range keys.Items {
		known[client.ObjectKeyFromObject(&keys.Items[i])] = true
		c.tellKey(metrics, &keys.Items[i])
	}
	tellTokens(metrics, tokens.Items, known)
	return nil
}
