package simulation

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// controller is a controller of a process that leads, set up by its own SetupWithManager: its handlers and predicates decide
// which events wake which objects. Only the queue is the simulation's.
type controller struct {
	p       *process
	name    string
	does    reconcile.Reconciler
	queue   *queue
	busy    int
	workers int
	end     context.CancelFunc
}

// reconciler is what both controllers are.
type reconciler interface {
	reconcile.Reconciler
	SetupWithManager(mgr ctrl.Manager) error
}

// setUp starts a controller, as far as that its handlers are registered and its workers wait.
func (p *process) setUp(name string, does reconciler) *controller {
	c := &controller{p: p, name: name, does: does, workers: 2}
	ready := make(chan struct{})
	c.queue = newQueue(c, func() { close(ready) })
	mgr := &fakeManager{p: p}
	if err := does.SetupWithManager(mgr); err != nil {
		panic(fmt.Sprintf("set up %s: %v", name, err))
	}
	// The option by which a controller gets its queue is not offered to managers, and SetupWithManager does not ask for it.
	reflect.ValueOf(mgr.added).Elem().FieldByName("NewQueue").Set(reflect.ValueOf(
		func(string, workqueue.TypedRateLimiter[ctrl.Request]) workqueue.TypedRateLimitingInterface[ctrl.Request] {
			return c.queue
		}))
	var ctx context.Context
	ctx, c.end = context.WithCancel(p.w.ctx)
	started := make(chan error, 1)
	go func() { started <- mgr.added.Start(ctx) }()
	select {
	case <-ready:
	case err := <-started:
		panic(fmt.Sprintf("start %s: %v", name, err))
	}
	return c
}

// dispatch lets free workers take what is to be done.
func (c *controller) dispatch() {
	for c.p.alive && !c.p.frozen() && c.busy < c.workers {
		request, ok := c.queue.take()
		if !ok {
			return
		}
		c.busy++
		c.p.w.spawn(c.p, func() { c.reconcile(request) })
	}
}

// reconcile does what controller-runtime does around Reconcile.
func (c *controller) reconcile(request ctrl.Request) {
	w := c.p.w
	w.count.Reconciles++
	logger := logr.New(&logSink{p: c.p})
	result, err := c.does.Reconcile(log.IntoContext(w.ctx, logger), request)
	i := c.queue.items[request]
	i.running = false
	c.busy--
	switch {
	case err != nil:
		w.said(c.p, "error", err.Error())
		c.queue.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, request)
	case result.RequeueAfter > 0:
		i.failures = 0
		c.queue.AddAfter(request, result.RequeueAfter)
	default:
		i.failures = 0
	}
	w.after(0, c.dispatch)
}

// fakeManager is what SetupWithManager asks of a manager.
type fakeManager struct {
	manager.Manager

	p     *process
	added manager.Runnable
}

func (m *fakeManager) Add(r manager.Runnable) error { m.added = r; return nil }

func (m *fakeManager) GetCache() crcache.Cache { return m.p.cache }

func (m *fakeManager) GetScheme() *runtime.Scheme { return scheme() }

func (m *fakeManager) GetRESTMapper() meta.RESTMapper { return mapper() }

func (m *fakeManager) GetLogger() logr.Logger { return logr.Discard() }

func (m *fakeManager) GetControllerOptions() config.Controller {
	return config.Controller{SkipNameValidation: new(true), CacheSyncTimeout: time.Hour}
}

func scheme() *runtime.Scheme { return theScheme() }

func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"SigningKey", "ServiceToken"} {
		m.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	return m
}

// logSink hands everything that is logged to the oracle.
type logSink struct {
	p      *process
	values []any
}

func (s *logSink) Init(logr.RuntimeInfo) {}

func (s *logSink) Enabled(int) bool { return true }

func (s *logSink) Info(_ int, message string, values ...any) {
	s.p.w.said(s.p, "log", fmt.Sprintln(append([]any{message}, values...)...))
}

func (s *logSink) Error(err error, message string, values ...any) {
	s.p.w.said(s.p, "log", fmt.Sprintln(append([]any{message, err}, values...)...))
}

func (s *logSink) WithValues(values ...any) logr.LogSink { return &logSink{s.p, values} }

func (s *logSink) WithName(string) logr.LogSink { return s }
