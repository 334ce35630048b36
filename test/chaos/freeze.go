package main

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"github.com/keyturn/keyturn/test/chaos/proxy"
)

// frozen does an operation again and again. Each time the leader stops before one API request more, the other replica takes over and
// does it, and once more; only then the request reaches the API server, and who sent it goes on.
func frozen(op operation) func(context.Context, *world) (int, error) {
	return func(ctx context.Context, w *world) (int, error) {
		if err := errors.Join(w.pair(ctx), op.prepare(ctx, w)); err != nil {
			return 0, err
		}
		leader, other := w.replicas[0], w.replicas[1]
		for times := 0; ; times++ {
			hit, err := w.freezeBefore(ctx, op, 1+times*w.step(freezeStep), leader)
			if err != nil || !hit {
				return times, err
			}
			leader, other = other, leader
		}
	}
}

func (w *world) freezeBefore(ctx context.Context, op operation, n int, leader *replica) (hit bool, err error) {
	t := w.newTrigger(op, n)
	t.events = false
	release := make(chan struct{})
	defer leader.proxy.Inject(proxy.Fault{})
	finished, err := w.try(ctx, op, t, leader, proxy.Fault{Before: func(request *http.Request) bool {
		if !t.pull(request) {
			return true
		}
		if err := leader.signal(syscall.SIGSTOP); err != nil {
			w.judge.Fail("%v", err)
		}
		t.pulled <- named(request)
		<-release
		return true
	}})
	if err != nil {
		return false, err
	}
	select {
	case request := <-t.pulled:
		w.judge.Say("  %2d: frozen before %s", n, request)
		err := <-finished
		if err == nil {
			err = w.again(ctx, op)
		}
		close(release)
		return true, errors.Join(err, w.thaw(ctx, leader))
	case err := <-finished:
		return false, err
	}
}

// again does an operation without any fault of its own.
func (w *world) again(ctx context.Context, op operation) error {
	return w.amid(ctx, op, func() error { return nil })
}

// amid begins an operation, does something, and waits until the operation is done.
func (w *world) amid(ctx context.Context, op operation, something func() error) error {
	w.operations++
	done, err := op.begin(ctx, w, w.operations)
	if err != nil {
		return err
	}
	if err := something(); err != nil {
		return err
	}
	return w.eventually(ctx, "it is done", done)
}

// thaw lets a replica go on that led. It ends when it learns that it does not any more, and is started again.
func (w *world) thaw(ctx context.Context, r *replica) error {
	if err := r.signal(syscall.SIGCONT); err != nil {
		return err
	}
	err := w.eventually(ctx, "who has lost the Lease ends", func(context.Context) error {
		if !r.ended() {
			return errors.New("it still runs")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.start(ctx, electing()...)
}
