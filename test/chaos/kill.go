package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

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

// killed does an operation again and again. Each time the operator is killed after one API request more: the API server has done
// what was asked, and nobody hears of it. It is over when the operator is done before that request.
func killed(op operation) func(context.Context, *world) (int, error) {
	return func(ctx context.Context, w *world) (int, error) {
		if err := op.prepare(ctx, w); err != nil {
			return 0, err
		}
		for n := 1; ; n++ {
			hit, err := w.killAfter(ctx, op, n)
			if err != nil || !hit {
				return n - 1, err
			}
		}
	}
}

func (w *world) killAfter(ctx context.Context, op operation, n int) (hit bool, err error) {
	r := w.replicas[0]
	if err := w.rest(ctx); err != nil {
		return false, err
	}
	t := &trigger{world: w, namespace: op.namespace, at: n, pulled: make(chan string), last: w.clock.Now()}
	defer r.proxy.Inject(proxy.Fault{})
	t.listen(r)
	if err := w.eventually(ctx, "no request is on its way", t.quiet); err != nil {
		return false, err
	}
	t.arm(r)
	done, err := op.begin(ctx, w, n)
	if err != nil {
		return false, err
	}
	finished := make(chan error, 1)
	go func() {
		err := w.eventually(ctx, "it is done", done)
		if err == nil {
			err = w.eventually(ctx, "nothing more is asked for", t.quiet)
		}
		finished <- err
	}()
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

// trigger counts the requests that concern a namespace, and kills the operator after one of them.
type trigger struct {
	world     *world
	namespace string
	at        int
	pulled    chan string

	mu    sync.Mutex
	count int
	last  time.Time
}

func (t *trigger) counts(request *http.Request) bool {
	return strings.Contains(request.URL.Path, "/namespaces/"+t.namespace+"/") && request.URL.Query().Get("watch") != "true"
}

func (t *trigger) arm(r *replica) {
	r.proxy.Inject(proxy.Fault{After: func(request *http.Request) bool {
		if !t.counts(request) {
			return true
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.last = t.world.clock.Now()
		t.count++
		if t.count != t.at {
			return t.count < t.at // What comes of a process that is being killed goes nowhere.
		}
		if err := r.signal(syscall.SIGKILL); err != nil {
			t.world.judge.Fail("%v", err)
		}
		t.pulled <- request.Method + " " + request.URL.Path
		return false
	}})
}

// listen has requests counted, and nothing happen to them.
func (t *trigger) listen(r *replica) {
	r.proxy.Inject(proxy.Fault{After: func(request *http.Request) bool {
		if t.counts(request) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.last = t.world.clock.Now()
		}
		return true
	}})
}

// quiet says that no request that counts was made for a while.
func (t *trigger) quiet(context.Context) error {
	const still = 500 * time.Millisecond
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := t.world.clock.Since(t.last); since < still {
		return fmt.Errorf("the last was %s ago", since)
	}
	return nil
}
