package simulation

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// queue is the work queue of one controller, as controller-runtime's priority queue is, in simulated time. The controller's own
// workers find it empty for ever; the simulation takes the work out and calls Reconcile.
type queue struct {
	workqueue.TypedRateLimitingInterface[ctrl.Request] // nothing else is called

	c     *controller
	items map[ctrl.Request]*item
	count int
	// batch collects what one event adds, so that the order in which handlers were registered decides nothing.
	batch    []added
	batching bool

	asked, shut func()
	ended       chan struct{}
}

type item struct {
	ready    time.Time
	priority int
	count    int
	failures int
	// queued says that there is something to do, running that somebody does it.
	queued, running bool
}

type added struct {
	request ctrl.Request
	options priorityqueue.AddOpts
}

func newQueue(c *controller, asked func()) *queue {
	ended := make(chan struct{})
	return &queue{
		c: c, items: map[ctrl.Request]*item{}, ended: ended,
		asked: sync.OnceFunc(asked), shut: sync.OnceFunc(func() { close(ended) }),
	}
}

// GetWithPriority is where the controller's own workers wait until the process ends.
func (q *queue) GetWithPriority() (none ctrl.Request, priority int, shutdown bool) {
	q.asked()
	<-q.ended
	return none, 0, true
}

// Get is GetWithPriority.
func (q *queue) Get() (ctrl.Request, bool) {
	request, _, shutdown := q.GetWithPriority()
	return request, shutdown
}

// ShutDown lets the workers go.
func (q *queue) ShutDown() { q.shut() }

// Add asks for a reconcile.
func (q *queue) Add(request ctrl.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, request) }

// AddAfter asks for a reconcile later.
func (q *queue) AddAfter(request ctrl.Request, d time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: d}, request)
}

// AddWithOpts asks for reconciles.
func (q *queue) AddWithOpts(options priorityqueue.AddOpts, requests ...ctrl.Request) {
	for _, request := range requests {
		q.batch = append(q.batch, added{request, options})
	}
	if !q.batching {
		q.flush()
	}
}

// flush enqueues what was collected.
func (q *queue) flush() {
	slices.SortStableFunc(q.batch, func(a, b added) int {
		return cmp.Or(cmp.Compare(a.request.Namespace, b.request.Namespace), cmp.Compare(a.request.Name, b.request.Name))
	})
	for _, a := range q.batch {
		q.enqueue(a.request, a.options)
	}
	q.batch = nil
}

func (q *queue) enqueue(request ctrl.Request, options priorityqueue.AddOpts) {
	const slowest = 1000 * time.Second
	i := q.items[request]
	if i == nil {
		i = &item{}
		q.items[request] = i
	}
	wait := options.After
	if options.RateLimited {
		wait = min(5*time.Millisecond<<min(i.failures, 20), slowest)
		i.failures++
	}
	priority := 0
	if options.Priority != nil {
		priority = *options.Priority
	}
	ready := q.c.p.w.now.Add(wait)
	if i.queued {
		ready, priority = earlier(ready, i.ready), max(priority, i.priority)
	} else {
		q.count++
		i.count = q.count
	}
	i.queued, i.ready, i.priority = true, ready, priority
	q.c.p.w.at(ready, q.c.dispatch)
}

// take returns what is to be done now, the most important and then the oldest first.
func (q *queue) take() (ctrl.Request, bool) {
	var best ctrl.Request
	var chosen *item
	for request, i := range q.items {
		if !i.queued || i.running || i.ready.After(q.c.p.w.now) {
			continue
		}
		if chosen == nil || i.priority > chosen.priority || i.priority == chosen.priority && i.count < chosen.count {
			best, chosen = request, i
		}
	}
	if chosen == nil {
		return best, false
	}
	chosen.queued, chosen.running = false, true
	return best, true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
