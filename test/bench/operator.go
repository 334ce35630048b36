package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/keyturn/keyturn/hack/local/process"
)

// operatorPatience is how long an operator may take to start or to end.
const operatorPatience = 2 * time.Minute

// Operator is the program, running as a process of its own.
type Operator struct {
	plane    *Plane
	identity process.Identity
	// profiles is the address of its profiles.
	profiles string
	daemon   *process.Daemon
}

// usual are flags with which the operator works as in a cluster, where those of the local control plane differ.
func usual() []string { return []string{"--signer-staleness=5m", "--token-store="} }

// StartOperator starts the program, with further flags, and returns when it is ready.
func (w *World) StartOperator(ctx context.Context, flags ...string) (*Operator, error) {
	o, err := w.launchOperator(ctx, flags...)
	if err != nil {
		return nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, operatorPatience, true, func(ctx context.Context) (bool, error) {
		select {
		case <-o.daemon.Exited():
			return false, fmt.Errorf("it has ended: %s", o.daemon.Status())
		default:
			_, err := get(ctx, o.plane.cluster.Operator.Health)
			return err == nil, nil
		}
	})
	if err != nil {
		return nil, errors.Join(process.WithLog(fmt.Errorf("wait for operator: %w", err), o.plane.cluster.Operator.Log), o.Stop(ctx))
	}
	return o, nil
}

// launchOperator starts the program and does not wait.
func (w *World) launchOperator(ctx context.Context, flags ...string) (*Operator, error) {
	profiles, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	o := &Operator{plane: w.Plane, profiles: profiles}
	at := w.Plane.cluster.Operator
	daemon, err := process.Start(ctx, process.Program{
		Name: "keyturn", Path: operatorProgram, LogFile: at.Log, IdentityFile: at.Identity,
		Args: slices.Concat(at.Arguments, usual(), []string{"--pprof-bind-address=" + profiles}, flags),
	})
	if err != nil {
		return nil, err
	}
	o.daemon = daemon
	if o.identity, err = process.ReadFile(at.Identity); err != nil {
		return nil, err
	}
	return o, nil
}

// Stop ends it as a node does, and returns when it has ended.
func (o *Operator) Stop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := process.Stop(ctx, o.identity, operatorPatience); err != nil {
		return fmt.Errorf("stop operator: %w", err)
	}
	<-o.daemon.Exited()
	return nil
}

// Usage is its CPU time and memory.
func (o *Operator) Usage() (usage, error) { return usageOf(o.identity.PID) }

// Metrics are what it tells Prometheus.
func (o *Operator) Metrics(ctx context.Context) (series, error) {
	text, err := get(ctx, o.plane.cluster.Operator.Metrics)
	if err != nil {
		return nil, fmt.Errorf("read metrics of operator: %w", err)
	}
	return parseSeries(text), nil
}

// rests returns nil if nothing waits to be reconciled and nothing is being reconciled.
func (o *Operator) rests(ctx context.Context) error {
	told, err := o.Metrics(ctx)
	if err != nil {
		return err
	}
	if busy := told.sum("workqueue_depth") + told.sum("controller_runtime_active_workers"); busy > 0 {
		return fmt.Errorf("%v objects wait for the operator, or are being reconciled", busy)
	}
	return nil
}

// hasReconciled returns nil if it has reconciled at least n ServiceTokens and rests.
func (o *Operator) hasReconciled(ctx context.Context, n int) error {
	told, err := o.Metrics(ctx)
	if err != nil {
		return err
	}
	if did := told.sum("controller_runtime_reconcile_total", `controller="servicetoken"`); did < float64(n) {
		return fmt.Errorf("%v of %d ServiceTokens are reconciled", did, n)
	}
	return o.rests(ctx)
}
