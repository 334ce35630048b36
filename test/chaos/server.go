package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/process"
)

// serverKilled kills what the operator relies on in the middle of each operation, for shorter and for longer than a signer goes on.
func serverKilled(ctx context.Context, w *world) (times int, err error) {
	if err := w.alone(ctx); err != nil {
		return 0, err
	}
	both := []string{binaries.Etcd, binaries.APIServer}
	rounds := []struct {
		programs []string
		down     time.Duration
	}{
		{both[:1], time.Second},
		{both[1:], 2 * time.Second},
		{both, 12 * time.Second},
	}
	operations := []operation{issue(), revocation(), rotation()}
	if !w.short {
		operations = append(operations, operations...)
		operations = append(operations, operations...)
	}
	for i, op := range operations {
		round := rounds[(i+i/len(rounds))%len(rounds)]
		if err := op.prepare(ctx, w); err != nil {
			return times, err
		}
		if err := w.rest(ctx); err != nil {
			return times, err
		}
		err := w.amid(ctx, op, func() error {
			w.judge.Say("  %v killed for %s in the middle of the %s", round.programs, round.down, op.namespace)
			if err := w.killServer(ctx, round.programs...); err != nil {
				return err
			}
			if err := w.pause(ctx, round.down); err != nil {
				return err
			}
			return w.startServer(ctx, round.programs...)
		})
		if err != nil {
			return times, err
		}
		times++
	}
	return times, nil
}

func (w *world) killServer(ctx context.Context, names ...string) error {
	for _, name := range names {
		identity, err := process.ReadFile(w.local.Programs[name].IdentityFile)
		if err != nil {
			return err
		}
		if err := syscall.Kill(identity.PID, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill %s: %w", name, err)
		}
		// The kernel knows it until it is reaped, and its ports are free only then: the first of its threads can be gone before.
		err = w.eventually(ctx, name+" ends", func(context.Context) error {
			if err := syscall.Kill(identity.PID, 0); !errors.Is(err, syscall.ESRCH) {
				return errors.New("it is still there")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// startServer starts programs as the cluster did, and returns when the API server answers. One that does not survive that etcd is away
// is started again too.
func (w *world) startServer(ctx context.Context, names ...string) error {
	for _, name := range names {
		w.starts++
		program := w.local.Programs[name]
		program.LogFile = filepath.Join(folder, "log", fmt.Sprintf("%s-%03d.log", name, w.starts))
		if _, err := process.Start(ctx, program); err != nil {
			return err
		}
	}
	return w.eventually(ctx, "the API server answers", func(ctx context.Context) error {
		return w.api.Get(ctx, client.ObjectKey{Name: "default"}, &corev1.Namespace{})
	})
}

func (w *world) pause(ctx context.Context, d time.Duration) error {
	timer := w.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C():
		return nil
	}
}

// restored puts etcd back to what it was before keys rotated and one was revoked, and starts the operator again. Somebody revokes that
// key again, as after every restore; one that was revoked before the snapshot must not come back.
func restored(ctx context.Context, w *world) (times int, err error) {
	rounds := 1
	if !w.short {
		rounds = 4
	}
	for times < rounds {
		if err := w.restore(ctx); err != nil {
			return times, err
		}
		times++
	}
	return times, nil
}

func (w *world) restore(ctx context.Context) error {
	both := []string{binaries.Etcd, binaries.APIServer}
	data, snapshot := filepath.Join(folder, "etcd"), filepath.Join(folder, "etcd-snapshot")
	op := revocation()
	if err := errors.Join(w.alone(ctx), op.prepare(ctx, w)); err != nil {
		return err
	}
	if err := errors.Join(w.rest(ctx), w.again(ctx, op), w.killServer(ctx, both...), os.RemoveAll(snapshot),
		os.CopyFS(snapshot, os.DirFS(data)), w.startServer(ctx, both...)); err != nil {
		return err
	}
	taken := w.clock.Now()
	w.judge.Say("  a snapshot is taken")
	if err := errors.Join(w.again(ctx, op), w.pause(ctx, period+cache), w.rest(ctx), w.killServer(ctx, both...), w.none()); err != nil {
		return err
	}
	w.judge.Say("  the snapshot of %s ago is restored", w.clock.Since(taken).Round(time.Second))
	w.judge.Restored(taken)
	if err := errors.Join(os.RemoveAll(data), os.Rename(snapshot, data), w.startServer(ctx, both...), w.alone(ctx)); err != nil {
		return err
	}
	back := w.clock.Now()
	if err := w.again(ctx, op); err != nil {
		return err
	}
	w.judge.Say("  the key is revoked again, %s later", w.clock.Since(back).Round(time.Second))
	return errors.Join(w.rest(ctx), w.pause(ctx, period), w.rest(ctx))
}
