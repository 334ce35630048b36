package simulation

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/controllers/servicetoken"
	"github.com/keyturn/keyturn/controllers/signingkey"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/discovery"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/webhook"
)

// process is one run of the operator in a replica, from its start to its end. It is put together as internal/app does it.
type process struct {
	w     *world
	of    *replica
	alive bool
	// frozenUntil is until when it does not run.
	frozenUntil time.Time
	tasks       []*task

	cache       *cache
	rings       *ringstore.Store
	lists       *denylist.Lists
	client      client.Client // reads the cache
	live        client.Client
	handler     http.Handler
	hooks       map[string]http.Handler
	controllers []*controller
	served      map[types.NamespacedName]bool
	unready     bool

	// calls counts requests; trap, if set, is sprung at the request of that number.
	calls int
	trap  map[int]func(committed bool)
}

// operatorUser is who the operator is to the API server.
const operatorUser = "system:serviceaccount:keyturn-system:keyturn"

// start begins a process in a replica.
func (r *replica) start() {
	w := r.w
	p := &process{w: w, of: r, alive: true, trap: map[int]func(bool){}, served: map[types.NamespacedName]bool{}}
	r.process = p
	w.tell(r.name, "starts")
	p.cache = newCache(p)
	p.live = &apiserver.Client{Server: w.server, User: operatorUser, Around: p.around, Known: scheme()}
	p.client = &apiserver.Client{Server: w.server, User: operatorUser, Around: p.around, Known: scheme(), Cache: p.cache}
	p.rings = ringstore.New(p.client, p.live, r.clock, time.Duration(w.plan.Staleness))
	p.forgetRings()
	p.lists = denylist.New(p.client, p.rings, w.operator, r.clock)
	if err := p.lists.Follow(w.ctx, p.cache); err != nil {
		panic(err)
	}
	p.serveWebhooks()
	p.serveDocuments()
	w.after(time.Second, w.elect)
}

// forgetRings is internal/app's forget.
func (p *process) forgetRings() {
	p.cache.handlers[apiserver.SigningKeys] = append(p.cache.handlers[apiserver.SigningKeys], toolscache.ResourceEventHandlerFuncs{
		DeleteFunc: func(object any) {
			if key, ok := object.(*v1alpha1.SigningKey); ok {
				p.rings.Forget(key.UID)
			}
		},
	})
}

// serveWebhooks keeps the webhooks' handlers. What they ask the API server is answered at once.
func (p *process) serveWebhooks() {
	p.hooks = map[string]http.Handler{}
	direct := &apiserver.Client{Server: p.w.server, User: operatorUser, Known: scheme()}
	webhook.Register(&fakeServer{p: p}, webhook.Options{
		Reader: p.cache, APIReader: direct, Clock: p.of.clock, Operator: p.w.operator, Permit: p.w.permit,
		Rings:     ringstore.New(p.cache, direct, p.of.clock, time.Duration(p.w.plan.Staleness)),
		DenyLists: p.lists,
	})
}

type fakeServer struct {
	ctrlwebhook.Server

	p *process
}

func (s *fakeServer) Register(path string, hook http.Handler) { s.p.hooks[path] = hook }

// serveDocuments follows the cache as the HTTPS server does, and reads its answers back whenever they can have changed.
func (p *process) serveDocuments() {
	rings := ringstore.New(p.client, p.live, p.of.clock, time.Duration(p.w.plan.Staleness))
	directory := discovery.NewDirectory(p.client, rings, p.w.operator)
	if err := directory.Follow(p.w.ctx, p.cache); err != nil {
		panic(err)
	}
	p.handler = discovery.NewHandler(directory, p.lists, view{p}, p.of.clock, externalURL, func() float64 { return 0 })
	for _, name := range p.cache.sortedKeys() {
		p.cache.tell(apiserver.SigningKeys, nil, p.cache.objects[apiserver.Name{Kind: apiserver.SigningKeys, Namespace: name.Namespace, Name: name.Name}])
	}
}

func (c *cache) sortedKeys() []types.NamespacedName {
	var names []types.NamespacedName
	for name := range c.objects {
		if name.Kind == apiserver.SigningKeys {
			names = append(names, types.NamespacedName{Namespace: name.Namespace, Name: name.Name})
		}
	}
	slices.SortFunc(names, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	return names
}

// view is how old the process's caches are.
type view struct{ p *process }

func (v view) Age(time.Time) time.Duration { return v.p.cache.age() }

func (v view) IsStale(time.Time) bool { return v.p.cache.age() > v.p.w.operator.LongestView() }

// together lets handlers do their work on one event: what they enqueue is enqueued in order, and what is served is read back
// before and after.
func (p *process) together(work func()) {
	p.readBack()
	for _, c := range p.controllers {
		c.queue.batching = true
	}
	work()
	for _, c := range p.controllers {
		c.queue.batching = false
		c.queue.flush()
	}
	p.readBack()
}

// readBack fetches what the process serves, and tells the oracle.
func (p *process) readBack() {
	if p.handler == nil {
		return
	}
	for _, name := range p.cache.sortedKeys() {
		p.served[name] = true
	}
	for _, name := range slices.SortedFunc(maps.Keys(p.served), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }) {
		body, keep := p.fetch(name)
		if p.unready || !p.alive || p.frozen() {
			body = nil
		}
		p.w.oracle.Served(p.w.now, p.of.name, name, body, keep)
	}
	p.watchReadiness()
}

// fetch asks for a JWKS as a verifier does.
func (p *process) fetch(name types.NamespacedName) ([]byte, time.Duration) {
	request := httptest.NewRequestWithContext(p.w.ctx, http.MethodGet, externalURL+"/"+name.Namespace+"/"+name.Name+"/jwks.json", http.NoBody)
	response := httptest.NewRecorder()
	p.handler.ServeHTTP(response, request)
	if response.Code != http.StatusOK {
		return nil, 0
	}
	return response.Body.Bytes(), maxAge(response.Header().Get("Cache-Control"))
}

func maxAge(header string) time.Duration {
	for directive := range strings.SplitSeq(header, ",") {
		if seconds, ok := strings.CutPrefix(strings.TrimSpace(directive), "max-age="); ok {
			n, err := strconv.Atoi(seconds)
			if err != nil {
				panic(err)
			}
			return time.Duration(n) * time.Second
		}
	}
	return 0
}

// readinessLag is how long a replica that is not ready goes on being asked.
const readinessLag = 30 * time.Second

// watchReadiness takes a replica out of service whose view is too old.
func (p *process) watchReadiness() {
	stale := view{p}.IsStale(p.w.now)
	if stale == p.unready || p.frozen() || !p.alive {
		return
	}
	if !stale {
		p.unready = false
		p.w.after(0, p.readBack)
		return
	}
	p.w.after(readinessLag, func() {
		if p.alive && !p.unready && (view{p}).IsStale(p.w.now) {
			p.readBack()
			p.unready = true
			p.readBack()
		}
	})
}

// lead starts the controllers.
func (p *process) lead() {
	w := p.w
	w.tell(p.of.name, "leads")
	keys := &signingkey.Reconciler{
		Client: p.client, Live: p.live, Recorder: &recorder{p}, Clock: p.of.clock, Operator: w.operator, Permit: w.permit, Workers: 2,
	}
	tokens := &servicetoken.Reconciler{
		Client: p.client, Live: p.live, Recorder: &recorder{p}, Clock: p.of.clock, Operator: w.operator, Permit: w.permit, Workers: 2, Rings: p.rings, DenyLists: p.lists,
	}
	before := map[apiserver.Kind]int{}
	for kind, handlers := range p.cache.handlers {
		before[kind] = len(handlers)
	}
	p.controllers = []*controller{p.setUp("signingkey", keys), p.setUp("servicetoken", tokens)}
	p.together(func() {
		for _, name := range slices.SortedFunc(maps.Keys(p.cache.objects), compare) {
			for _, h := range p.cache.handlers[name.Kind][before[name.Kind]:] {
				h.OnAdd(shown(p.cache.objects[name]), true)
			}
		}
	})
}

func compare(a, b apiserver.Name) int { return strings.Compare(a.String(), b.String()) }

// die ends the process: at once, wherever its tasks are. It does not return if one of them is running.
func (p *process) die(why string) {
	if !p.alive {
		return
	}
	w := p.w
	w.tell(p.of.name, "ends: %s", why)
	p.readBack()
	p.alive = false
	p.readBack()
	for _, c := range p.controllers {
		c.end()
	}
	w.lease.left(p)
	restart := w.draw(p.of.name, time.Second, 30*time.Second)
	if !p.of.away {
		w.after(restart, p.of.start)
	}
	p.end()
}

func (p *process) frozen() bool { return p.alive && p.w.now.Before(p.frozenUntil) }

// freeze stops the process for a while. Whoever was deposed meanwhile notices only after a request or two, and ends.
func (p *process) freeze(d time.Duration) {
	w := p.w
	w.tell(p.of.name, "is frozen for %s", d)
	p.readBack()
	p.frozenUntil = w.now.Add(d)
	p.unready = p.unready || d > readinessLag // Its probes fail meanwhile.
	p.readBack()
	w.lease.left(p)
	leads := len(p.controllers) > 0
	w.at(p.frozenUntil, func() {
		if !p.alive {
			return
		}
		w.tell(p.of.name, "goes on")
		p.readBack()
		w.after(time.Second, p.readBack)
		for _, c := range p.controllers {
			c.dispatch()
		}
		if !leads {
			w.elect()
			return
		}
		w.after(w.draw(p.of.name, 0, 3*time.Second), func() { p.die("its lease is another's") })
	})
}

// delay is how long an event takes to the process.
func (p *process) delay() time.Duration {
	if p.w.healed {
		return 5 * time.Millisecond
	}
	if p.w.random(p.of.name).IntN(20) == 0 {
		return p.w.draw(p.of.name, time.Second, 20*time.Second)
	}
	return p.w.draw(p.of.name, time.Millisecond, 300*time.Millisecond)
}

// recorder hands events to the oracle.
type recorder struct{ p *process }

func (r *recorder) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	text := fmt.Sprintf(note, args...)
	r.p.w.said(r.p, "event", kind+" "+reason+" "+action+" "+text)
	object, _ := regarding.(client.Object)
	r.p.w.tell(r.p.of.name, "%s/%s: %s: %s", object.GetNamespace(), object.GetName(), reason, text)
}
