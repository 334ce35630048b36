package app

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// defaultShutdownDelay is more than the few seconds in which a cluster learns that a Pod is going.
const defaultShutdownDelay = 10 * time.Second

// drain lets a replica that is told to end go on as before for a while, because requests still come: the API servers and the
// nodes learn later than the kubelet that its Pod is going. A webhook that does not answer is a refusal that its user sees.
type drain struct {
	begun atomic.Bool
}

// prolong returns a context that ends a delay after another one. The drain begins when that one ends.
func (d *drain) prolong(ctx context.Context, clk clock.WithTicker, delay time.Duration) (context.Context, context.CancelFunc) {
	prolonged, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer cancel()
		select {
		case <-prolonged.Done():
			return
		case <-ctx.Done():
		}
		if delay == 0 {
			return
		}
		d.begun.Store(true)
		ctrl.Log.Info("not ready any more, and going on until requests have found another replica", "shutdownDelay", delay.String())
		timer := clk.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-prolonged.Done():
		case <-timer.C():
		}
	}()
	return prolonged, cancel
}

var errDraining = errors.New("the operator was told to end")

// Ready is a healthz.Checker.
func (d *drain) Ready(*http.Request) error {
	if d.begun.Load() {
		return errDraining
	}
	return nil
}

// handler tells clients during a drain not to send another request over the same connection. Otherwise one could be on its way
// when the server closes it, and a client does not know whether such a request was heard and does not repeat it.
func (d *drain) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// drainedServer is a webhook server whose connections a drain ends one by one.
type drainedServer struct {
	ctrlwebhook.Server
	drain *drain
}

// Register implements ctrlwebhook.Server.
func (s *drainedServer) Register(path string, hook http.Handler) {
	s.Server.Register(path, s.drain.handler(hook))
}
