package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
	"github.com/keyturn/keyturn/test/simulation/oracle"
)

const externalURL = "https://tokens.example"

// theScheme is made once: it never changes, and every client of every world has it.
var theScheme = sync.OnceValue(controlplane.Scheme) //nolint:gochecknoglobals // See above.

// sharedPermits compile rules once for all worlds of an operator's flags: what is compiled depends on nothing else.
var sharedPermits sync.Map //nolint:gochecknoglobals // Compiling a rule takes longer than a simulated week.

// world is a simulated world.
type world struct {
	schedule

	ctx      context.Context //nolint:containedctx // A world lives as long as the call that plays it.
	plan     *Plan
	operator spec.Operator
	permit   *permit.Checker
	server   *apiserver.Server
	oracle   *oracle.Oracle
	running  *task
	randoms  map[string]*rand.Rand
	// healed says that nothing goes wrong any more.
	healed bool

	replicas []*replica
	lease    *lease
	faults   []fault
	issuers  map[types.NamespacedName]*issuer
	// pods are what pods mount of each Secret and ConfigMap; mounted counts the changes.
	pods      map[apiserver.Name]*mount
	mounted   int
	verifiers []*verifier
	// backup is the latest, restored that one was put back.
	backup    *apiserver.Snapshot
	backedUp  time.Time
	restored  bool
	collected bool
	// past are the ring Secrets and copies that were stored before, for whoever puts one back.
	past map[apiserver.Name][]apiserver.Event

	count     Count
	recording bool
	story     []line
}

// line is something that happened, for people.
type line struct {
	at   time.Time
	who  string
	what string
}

// replica is one of the places in which an operator runs, with a clock of its own.
type replica struct {
	w       *world
	index   int
	name    string
	clock   *clock
	process *process
	// away says that no process is started any more.
	away bool
}

// clock is a clock that is ahead of the world's time, or behind it. It is a clock.PassiveClock.
type clock struct {
	w     *world
	ahead time.Duration
}

// Now is the time.
func (c *clock) Now() time.Time { return c.w.now.Add(c.ahead) }

// Since is how long ago an instant was.
func (c *clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func epoch() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }

func init() { log.SetLogger(logr.Discard()) } // Controllers are given loggers of their own.

func newWorld(ctx context.Context, plan *Plan) *world {
	w := &world{
		ctx: ctx, plan: plan, randoms: map[string]*rand.Rand{}, issuers: map[types.NamespacedName]*issuer{},
		pods: map[apiserver.Name]*mount{}, past: map[apiserver.Name][]apiserver.Event{}, count: newCount(),
	}
	w.now = epoch()
	w.operator = spec.Operator{ExternalURL: externalURL, SignerStaleness: time.Duration(plan.Staleness), MinimumDuration: time.Minute}
	shared, _ := sharedPermits.LoadOrStore(time.Duration(plan.Staleness), permit.New(w.operator))
	w.permit = shared.(*permit.Checker)
	w.server = apiserver.New(func() time.Time { return w.now })
	w.server.Admit = w.admit
	w.server.Committed = w.committed
	w.lease = &lease{w: w}
	w.oracle = oracle.New(oracle.Facts{
		Slow: -w.spread() / 2, Fast: w.spread() - w.spread()/2, Propagation: time.Duration(plan.Propagation),
		Staleness: time.Duration(plan.Staleness), View: w.operator.LongestView() + time.Millisecond + readinessLag, Lag: longestLag + 5*time.Minute,
	}, operatorUser)
	for i := range plan.Replicas {
		w.replicas = append(w.replicas, &replica{w: w, index: i, name: fmt.Sprintf("replica-%d", i+1), clock: w.clock(plan.Clocks[i])})
	}
	return w
}

// longestLag is for how long a cache is held at most.
const longestLag = 40 * time.Minute

func (w *world) spread() time.Duration { return time.Duration(w.plan.Skew) }

// clock is a clock that is so many thousandths of the skew ahead of the slowest.
func (w *world) clock(share int) *clock {
	return &clock{w, w.spread()*time.Duration(share)/1000 - w.spread()/2}
}

// random is the source of somebody's chances. Each has one of its own, so that leaving somebody out changes little for others.
func (w *world) random(of string) *rand.Rand {
	r := w.randoms[of]
	if r == nil {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(of))                        // It never fails.
		r = rand.New(rand.NewPCG(w.plan.Seed, hash.Sum64())) //nolint:gosec // A world must be the same each time.
		w.randoms[of] = r
	}
	return r
}

// draw draws a duration.
func (w *world) draw(of string, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(w.random(of).Int64N(int64(most-least)))
}

// tell adds a line to the story.
func (w *world) tell(who, format string, args ...any) {
	if w.recording {
		w.story = append(w.story, line{w.now, who, fmt.Sprintf(format, args...)})
	}
}

// note tells of a write and its answer.
func (w *world) note(p *process, call apiserver.Call, err error) {
	switch {
	case err != nil:
		w.tell(p.of.name, "%s %s: %v", call.Verb, call.Name, err)
	case w.recording:
		w.tell(p.of.name, "%s %s%s", call.Verb, call.Name, w.describe(call.Name))
	}
}

func (w *world) said(p *process, where, text string) {
	w.oracle.Said(w.now, where, text)
	if where == "error" {
		w.tell(p.of.name, "error: %s", text)
	}
}

// broken notes what is wrong in another way than by the oracle's word.
func (w *world) broken(invariant, because string) {
	w.oracle.Violations = append(w.oracle.Violations, oracle.Violation{Invariant: invariant, At: w.now, Because: because})
}

// committed lets everybody hear of a change.
func (w *world) committed(e apiserver.Event) {
	w.remember(e)
	w.oracle.Committed(w.now, e)
	for _, r := range w.replicas {
		if r.process != nil && r.process.alive {
			r.process.cache.hear(e)
		}
	}
	w.mountAll(e)
	w.heed(e)
	if e.New == nil || e.New.GetDeletionTimestamp() != nil || len(e.New.GetOwnerReferences()) > 0 {
		w.collect()
	}
}

// collect lets the garbage collector and the namespace controller look, some time later.
func (w *world) collect() {
	if w.collected {
		return
	}
	w.collected = true
	w.after(w.draw("garbage collector", time.Second, time.Minute), func() {
		w.collected = false
		waste := w.server.Waste()
		for _, name := range sorted(waste) {
			w.tell("garbage collector", "deletes %s", name)
			_ = w.server.Delete(waste[name], name, apiserver.Conditions{}) // What cannot go now is looked at again with the next change.
		}
		w.server.EndNamespaces()
	})
}

// lease says who leads.
type lease struct {
	w      *world
	holder *process
}

// left frees the lease of a process, which somebody else notices later.
func (l *lease) left(p *process) {
	if l.holder == p {
		l.holder = nil
		l.w.after(l.w.draw("lease", 2*time.Second, 17*time.Second), l.w.elect)
	}
}

// elect gives a free lease to a process that runs.
func (w *world) elect() {
	if w.lease.holder != nil {
		return
	}
	first := w.random("lease").IntN(len(w.replicas))
	for n := range w.replicas {
		p := w.replicas[(first+n)%len(w.replicas)].process
		if p != nil && p.alive && !p.frozen() {
			w.lease.holder = p
			if len(p.controllers) == 0 {
				p.lead()
			}
			return
		}
	}
}

func nameOf(s string) types.NamespacedName {
	namespace, name, _ := strings.Cut(s, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}
