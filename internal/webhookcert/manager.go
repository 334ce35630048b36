package webhookcert

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Manager keeps the webhook's certificate and serves it. It is a manager.Runnable for every replica, leader or not.
type Manager struct {
	client  client.WithWatch
	clock   clock.Clock
	options Options

	// seen belongs to the goroutine of Start.
	seen    Sightings
	view    atomic.Pointer[view]
	failure atomic.Pointer[error]
}

// New returns a Manager that has read nothing yet. The client must not read from a cache. It fails on options that cannot work
// and names every one of them.
func New(c client.WithWatch, clk clock.Clock, options Options) (*Manager, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("manage webhook certificate: %w", err)
	}
	return &Manager{client: c, clock: clk, options: options}, nil
}

// NeedLeaderElection is false: every replica serves the webhook.
func (*Manager) NeedLeaderElection() bool { return false }

// Start keeps the certificate until ctx is done and then returns nil: no error of the API server ends it.
func (m *Manager) Start(ctx context.Context) error {
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("webhookcert"))
	wake := make(chan struct{}, 1)
	var watches sync.WaitGroup
	for _, watched := range m.watched() {
		watches.Go(func() { m.follow(ctx, watched, wake) })
	}
	m.run(ctx, wake)
	watches.Wait()
	return nil
}

func (m *Manager) run(ctx context.Context, wake <-chan struct{}) {
	retry := newBackoff()
	for ctx.Err() == nil {
		result, err := m.pass(ctx)
		m.record(ctx, err)
		switch {
		case err != nil:
			result.next = m.clock.Now().Add(retry.Step())
		case result.wrote:
			// Whoever undoes our writes must not drive us into writing ever faster.
			m.rest(ctx, retry.Step())
		default:
			retry = newBackoff()
		}
		m.wait(ctx, result.next, wake)
	}
}

// outcome of a pass: when the next one is due, zero if only a change can make it so, and whether this one wrote.
type outcome struct {
	next  time.Time
	wrote bool
}

// pass reads the objects, the Secret last (see inject), writes what has to change and puts the result into service.
func (m *Manager) pass(ctx context.Context) (outcome, error) {
	configuration, err := m.readConfiguration(ctx)
	if err != nil {
		return outcome{}, err
	}
	// What clients are told must not keep the webhook from being served: where it cannot be read, they know nothing.
	published, publishErr := m.readPublished(ctx)
	secret, err := m.readSecret(ctx)
	if err != nil {
		return outcome{}, err
	}
	now := m.clock.Now()
	if m.options.External {
		return m.showExternal(secret, trustedBy(configuration), now)
	}
	m.seen = m.seen.Update(knownBy(configuration, published), now)
	material, renewed, err := m.renew(ctx, secret, now)
	if err != nil {
		return outcome{}, err
	}
	bundle := encodeBundle(material.authorities)
	configuration, injected, injectErr := m.inject(ctx, configuration, bundle)
	told := false
	if publishErr == nil {
		published, told, publishErr = m.publish(ctx, published, bundle)
	}
	// Later than the writes, however long those took: the propagation starts with them.
	now = m.clock.Now()
	m.seen = m.seen.Update(knownBy(configuration, published), now)
	m.show(material.serving, trustedBy(configuration), now)
	next := Decide(material, m.seen, m.options, now).Next
	return outcome{next: next, wrote: renewed || injected || told}, errors.Join(injectErr, publishErr)
}

// renew brings the Secret up to date and returns what it then holds, with whether it was written.
func (m *Manager) renew(ctx context.Context, secret *corev1.Secret, now time.Time) (Material, bool, error) {
	if err := refuseForeign(secret); err != nil {
		return Material{}, false, err
	}
	var present Material
	if secret != nil {
		present = ParseMaterial(secret.Data)
	}
	material, reasons, err := converge(present, m.seen, m.options, now)
	if err != nil || len(reasons) == 0 {
		return present, false, err
	}
	if err := m.writeSecret(ctx, secret, material); err != nil {
		return present, false, err
	}
	log.FromContext(ctx).Info("webhook certificate renewed", "because", reasons,
		"expires", material.serving.Leaf.NotAfter, "caExpires", material.authorities[0].NotAfter)
	return material, true, nil
}
