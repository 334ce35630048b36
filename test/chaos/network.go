package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn/test/chaos/proxy"
)

// disturbed has the operator work over a bad network: each request is late, some never reach the API server, the answers to some are
// lost, and now and then all connections are cut, for a while too. Meanwhile keys are rotated and revoked, and tokens issued.
func disturbed(ctx context.Context, w *world) (times int, err error) {
	if err := w.alone(ctx); err != nil {
		return 0, err
	}
	r := w.replicas[0]
	var faults atomic.Int64
	r.proxy.Inject(w.badNetwork(ctx, &faults))
	defer r.proxy.Inject(proxy.Fault{})
	stop := w.cutNowAndThen(ctx, r, &faults)
	defer stop()
	rounds := 1
	if !w.short {
		rounds = 6
	}
	for range rounds {
		for _, op := range []operation{issue(), rotation(), revocation()} {
			if err := op.prepare(ctx, w); err != nil {
				return int(faults.Load()), err
			}
			if err := w.again(ctx, op); err != nil {
				return int(faults.Load()), err
			}
		}
	}
	return int(faults.Load()), nil
}

func (w *world) badNetwork(ctx context.Context, faults *atomic.Int64) proxy.Fault {
	const (
		latest                    = 400 * time.Millisecond
		stride                    = 137 * time.Millisecond
		everyRequest, everyAnswer = 11, 7
	)
	var requests, answers atomic.Int64
	return proxy.Fault{
		Before: func(*http.Request) bool {
			n := requests.Add(1)
			faults.Add(1)
			return w.pause(ctx, time.Duration(n)*stride%latest) == nil && n%everyRequest != 0
		},
		After: func(request *http.Request) bool {
			return request.Method == http.MethodGet || answers.Add(1)%everyAnswer != 0
		},
	}
}

// cutNowAndThen cuts all connections until stop is called, and every third time for a second.
func (w *world) cutNowAndThen(ctx context.Context, r *replica, faults *atomic.Int64) (stop func()) {
	const every, away = 3 * time.Second, time.Second
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.proxy.Cut(false)
		for n := 1; w.pause(ctx, every) == nil; n++ {
			faults.Add(1)
			r.proxy.Cut(n%3 == 0)
			if n%3 == 0 && w.pause(ctx, away) == nil {
				r.proxy.Cut(false)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
