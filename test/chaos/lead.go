package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// electing are the flags of replicas of which one leads. A Lease is given up within seconds.
func electing() []string {
	return []string{
		"--leader-elect", "--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms",
	}
}

// alone has one replica run, which needs no Lease.
func (w *world) alone(ctx context.Context) error {
	if err := w.none(); err != nil {
		return err
	}
	return w.replicas[0].start(ctx)
}

// pair has both replicas run, of which the first leads. They share no token store.
func (w *world) pair(ctx context.Context) error {
	if err := w.none(); err != nil {
		return err
	}
	started := w.clock.Now()
	if err := w.replicas[0].start(ctx, electing()...); err != nil {
		return err
	}
	err := w.eventually(ctx, "a replica leads", func(ctx context.Context) error {
		lease := &coordinationv1.Lease{}
		if err := w.api.Get(ctx, client.ObjectKey{Namespace: "keyturn-system", Name: operator}, lease); err != nil {
			return err
		}
		if renewed := lease.Spec.RenewTime; renewed == nil || renewed.Time.Before(started) {
			return fmt.Errorf("the Lease was renewed at %s", renewed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.replicas[1].start(ctx, electing()...)
}

func (w *world) none() error {
	var err error
	for _, r := range w.replicas {
		err = errors.Join(err, r.kill())
	}
	return err
}

// lead has both fronts lead to a replica that is ready: to the same as before, as long as it is.
func (w *world) lead(ctx context.Context) {
	const every = 100 * time.Millisecond
	ticker := w.clock.NewTicker(every)
	defer ticker.Stop()
	var last *replica
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		last = w.choose(ctx, last)
		if last == nil {
			w.webhook.Lead("")
			w.https.Lead("")
		} else {
			w.webhook.Lead(last.webhook)
			w.https.Lead(last.https)
		}
	}
}

func (w *world) choose(ctx context.Context, last *replica) *replica {
	prompt := func(r *replica) bool {
		const patience = 500 * time.Millisecond
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return r.ready(ctx) == nil
	}
	if last != nil && prompt(last) {
		return last
	}
	for _, r := range w.replicas {
		if r != last && prompt(r) {
			return r
		}
	}
	return nil
}
