package main

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"github.com/keyturn/keyturn/test/chaos/proxy"
)

// operation is something that a user asks for, in a namespace of its own.
type operation struct {
	namespace string
	// prepare declares what it works with.
	prepare func(context.Context, *world) error
	// begin asks for it the n-th time, and returns what tells that all of it is done.
	begin func(ctx context.Context, w *world, n int) (done func(context.Context) error, err error)
}

// killStep and freezeStep are which requests a short run chooses.
const (
	killStep   = 2
	freezeStep = 4
)

// step is from one request to the next at which a fault is done: all of them, unless the run is short.
func (w *world) step(short int) int {
	if w.short {
		return short
	}
	return 1
}

// killed does an operation again and again. Each time the operator is killed after one API request more: the API server has done
// what was asked, and nobody hears of it. It is over when the operator is done before that request.
func killed(op operation) func(context.Context, *world) (int, error) {
	return func(ctx context.Context, w *world) (int, error) {
		if err := errors.Join(w.alone(ctx), op.prepare(ctx, w)); err != nil {
			return 0, err
		}
		for times := 0; ; times++ {
			hit, err := w.killAfter(ctx, op, 1+times*w.step(killStep))
			if err != nil || !hit {
				return times, err
			}
		}
	}
}

func (w *world) killAfter(ctx context.Context, op operation, n int) (hit bool, err error) {
	r := w.replicas[0]
	t := w.newTrigger(op, n)
	defer r.proxy.Inject(proxy.Fault{})
	finished, err := w.try(ctx, op, t, r, proxy.Fault{After: func(request *http.Request) bool {
		if !t.pull(request) {
			return true
		}
		if err := r.signal(syscall.SIGKILL); err != nil {
			w.judge.Fail("%v", err)
		}
		t.pulled <- named(request)
		return false
	}})
	if err != nil {
		return false, err
	}
	select {
	case request := <-t.pulled:
		w.judge.Say("  %2d: killed after %s", n, request)
		<-r.exited
		t.listen(r)
		if err := r.start(ctx); err != nil {
			return true, err
		}
		return true, <-finished
	case err := <-finished:
		return false, err
	}
}

// try begins an operation while nothing else is asked of the API server in its namespace, and has the requests of a replica meet the
// fault from then on. It tells when all of the operation is done.
func (w *world) try(ctx context.Context, op operation, t *trigger, r *replica, f proxy.Fault) (finished <-chan error, err error) {
	if err := w.rest(ctx); err != nil {
		return nil, err
	}
	t.listen(r)
	if err := w.eventually(ctx, "no request is on its way", t.quiet); err != nil {
		return nil, err
	}
	r.proxy.Inject(f)
	w.operations++
	done, err := op.begin(ctx, w, w.operations)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := w.eventually(ctx, "it is done", done)
		if err == nil {
			err = w.eventually(ctx, "nothing more is asked for", t.quiet)
		}
		ended <- err
	}()
	return ended, nil
}
