package simulation

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// cache is what a process knows of the cluster without asking: informers of the kinds that internal/app has, of Secrets and
// ConfigMaps those with Keyturn's label. Each stream of events can lag behind for itself.
type cache struct {
	crcache.Cache // nothing else is called

	p       *process
	objects map[apiserver.Name]client.Object
	streams map[streamName]*stream

	mu       sync.Mutex // controllers register from goroutines of their own
	handlers map[apiserver.Kind][]toolscache.ResourceEventHandler
}

// streamName is a watch: its events arrive in order, those of different watches do not. One for each namespace is what an
// operator has that watches namespaces by name; of one that watches all, the order between namespaces is the only difference.
type streamName struct {
	kind      apiserver.Kind
	namespace string
}

type stream struct {
	pending []pendingEvent
	// last is when the last event arrives.
	last time.Time
	// heldSince and heldUntil are when nothing arrives; relist says that what was missed is then listed anew.
	heldSince, heldUntil time.Time
	relist               bool
}

type pendingEvent struct {
	event     apiserver.Event
	committed time.Time
	due       time.Time
}

func newCache(p *process) *cache {
	c := &cache{
		p: p, objects: map[apiserver.Name]client.Object{}, streams: map[streamName]*stream{},
		handlers: map[apiserver.Kind][]toolscache.ResourceEventHandler{},
	}
	for _, kind := range apiserver.Kinds() {
		for _, object := range p.w.server.List(kind) {
			if kept(object) {
				c.objects[apiserver.NameOf(object)] = object
			}
		}
	}
	return c
}

// kept says whether the cache's selector chooses an object.
func kept(object client.Object) bool {
	if object == nil {
		return false
	}
	switch apiserver.KindOf(object) {
	case apiserver.Secrets, apiserver.ConfigMaps:
		return object.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
	default:
		return true
	}
}

// hear takes note of a change, which arrives later.
func (c *cache) hear(e apiserver.Event) {
	w := c.p.w
	name := streamName{e.Name.Kind, e.Name.Namespace}
	s := c.streams[name]
	if s == nil {
		s = &stream{}
		c.streams[name] = s
	}
	due := w.now.Add(c.p.delay())
	if due.Before(s.last) {
		due = s.last
	}
	s.last = due
	s.pending = append(s.pending, pendingEvent{e, w.now, due})
	w.at(due, func() { c.pump(s) })
}

// pump lets arrive what is due.
func (c *cache) pump(s *stream) {
	w := c.p.w
	switch {
	case !c.p.alive:
		return
	case c.p.frozen():
		w.at(c.p.frozenUntil.Add(time.Millisecond), func() { c.pump(s) })
		return
	case w.now.Before(s.heldUntil):
		w.at(s.heldUntil, func() { c.pump(s) })
		return
	}
	if s.relist {
		s.relist = false
		c.list(s)
	}
	for len(s.pending) > 0 && !s.pending[0].due.After(w.now) {
		e := s.pending[0].event
		s.pending = s.pending[1:]
		c.show(e.Name, e.New)
	}
}

// hold lets nothing arrive for a while of the streams of a kind, or of all.
func (c *cache) hold(kind apiserver.Kind, d time.Duration, relist bool) {
	w := c.p.w
	names := slices.SortedFunc(maps.Keys(c.streams), func(a, b streamName) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace))
	})
	for _, name := range names {
		if s := c.streams[name]; kind == "" || name.kind == kind {
			s.heldSince, s.heldUntil, s.relist = w.now, w.now.Add(d), relist
			w.at(s.heldUntil, func() { c.pump(s) })
		}
	}
	// Somebody asks at the last moment at which the replica is believed, and once it is not: for what was under way already that is sooner.
	believed := max(w.operator.LongestView()-c.age(), time.Second)
	w.after(believed-time.Second, c.p.readBack)
	w.after(believed+time.Millisecond, c.p.readBack)
	w.after(d+time.Second, c.p.readBack)
}

// list is a watch that begins anew: what has changed twice meanwhile is seen once.
func (c *cache) list(s *stream) {
	seen := map[apiserver.Name]bool{}
	var names []apiserver.Name
	for _, e := range s.pending {
		if !seen[e.event.Name] {
			seen[e.event.Name] = true
			names = append(names, e.event.Name)
		}
	}
	s.pending = nil
	for _, name := range names {
		c.show(name, c.p.w.server.Lookup(name))
	}
}

// listAll lists everything anew.
func (c *cache) listAll() {
	names := map[apiserver.Name]bool{}
	for name := range c.objects {
		names[name] = true
	}
	for _, kind := range apiserver.Kinds() {
		for _, object := range c.p.w.server.List(kind) {
			names[apiserver.NameOf(object)] = true
		}
	}
	for _, s := range c.streams {
		s.pending = nil
	}
	order := slices.SortedFunc(maps.Keys(names), func(a, b apiserver.Name) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, name := range order {
		c.show(name, c.p.w.server.Lookup(name))
	}
}

// show puts an object into the cache, or takes it out, and tells the handlers.
func (c *cache) show(name apiserver.Name, object client.Object) {
	before, now := c.objects[name], object
	if !kept(now) {
		now = nil
	}
	if before == now {
		return
	}
	if now == nil {
		delete(c.objects, name)
	} else {
		c.objects[name] = now
	}
	c.tell(name.Kind, before, now)
}

func (c *cache) tell(kind apiserver.Kind, before, now client.Object) {
	c.p.together(func() {
		for _, h := range c.handlers[kind] {
			switch {
			case before == nil:
				h.OnAdd(shown(now), false)
			case now == nil:
				h.OnDelete(shown(before))
			default:
				h.OnUpdate(shown(before), shown(now))
			}
		}
	})
}

// shown is an object as an informer gives it out.
func shown(object client.Object) client.Object {
	if apiserver.KindOf(object) == apiserver.Namespaces {
		return apiserver.Metadata(object)
	}
	return object
}

// Age is how old what the cache shows can be.
func (c *cache) age() time.Duration {
	now := c.p.w.now
	var oldest time.Duration
	for _, s := range c.streams {
		if len(s.pending) > 0 {
			oldest = max(oldest, now.Sub(s.pending[0].committed))
		}
		if now.Before(s.heldUntil) {
			oldest = max(oldest, now.Sub(s.heldSince))
		}
	}
	return oldest
}

// Get reads the cache.
func (c *cache) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	name := apiserver.Name{Kind: apiserver.KindOf(into), Namespace: key.Namespace, Name: key.Name}
	object := c.objects[name]
	if object == nil {
		return apiserver.Read(nil, name, into)
	}
	return apiserver.Read(object, name, into)
}

// List reads the cache.
func (c *cache) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	kind := apiserver.KindOf(list)
	var objects []client.Object
	for name, object := range c.objects {
		if name.Kind == kind {
			objects = append(objects, object)
		}
	}
	slices.SortFunc(objects, func(a, b client.Object) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return apiserver.Select(objects, list, c.index, options...)
}

// index is what internal/app tells the cache to index by.
func (c *cache) index(field string, object client.Object) []string {
	switch field {
	case spec.IndexSigningKey:
		return spec.SigningKeyIndex(object)
	case spec.IndexIssuer:
		return c.p.w.operator.IssuerIndex(object)
	default:
		return nil
	}
}

// GetInformer returns what handlers are added to.
func (c *cache) GetInformer(_ context.Context, object client.Object, _ ...crcache.InformerGetOption) (crcache.Informer, error) {
	return &informer{cache: c, kind: apiserver.KindOf(object)}, nil
}

// WaitForCacheSync says that the cache is filled.
func (c *cache) WaitForCacheSync(context.Context) bool { return true }

type informer struct {
	crcache.Informer // nothing else is called

	cache *cache
	kind  apiserver.Kind
}

func (i *informer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	i.cache.mu.Lock()
	defer i.cache.mu.Unlock()
	i.cache.handlers[i.kind] = append(i.cache.handlers[i.kind], h)
	return registered{}, nil
}

func (i *informer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, _ toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(h)
}

// registered is a handler that has got all that was there.
type registered struct{}

func (registered) HasSynced() bool { return true }

func (registered) HasSyncedChecker() toolscache.DoneChecker { return done{} }

type done struct{}

func (done) Name() string { return "" }

func (done) Done() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}
