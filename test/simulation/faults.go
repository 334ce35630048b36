package simulation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// fault is a time in which something goes wrong with requests.
type fault struct {
	// kind is unavailable, throttled, timeout, lost, conflict, rejected or slow.
	kind string
	// replica is whose requests; -1 for everybody's.
	replica int
	from    time.Time
	until   time.Time
	// share is how many of a hundred requests it meets.
	share int
	// namespace, if set, is where writes are rejected.
	namespace string
}

var errUnreachable = errors.New("dial tcp: connect: connection refused")

// around is every request of a process: it takes time, and anything can go wrong with it before and after it is committed.
func (p *process) around(ctx context.Context, call apiserver.Call, do func() error) error {
	w := p.w
	t := w.running
	patience, began := patienceOf(ctx), w.now
	p.calls++
	w.count.Requests++
	spring := p.trap[p.calls]
	delete(p.trap, p.calls)
	t.sleep(w.latency(p))
	if spring != nil && p.calls%2 == 0 {
		spring(false)
		t.sleep(0)
	}
	if w.now.Sub(began) > patience {
		return context.DeadlineExceeded // A process that was frozen does not send any more what it has no time for.
	}
	kind := w.fault(p, call)
	if err := before(kind, call); err != nil {
		w.count.fault(kind)
		t.sleep(w.latency(p))
		return err
	}
	err := do()
	if spring != nil && p.calls%2 == 1 {
		spring(true)
	}
	t.sleep(w.latency(p))
	if kind == "lost" && call.Writes() {
		w.count.fault(kind)
		if err == nil {
			w.tell(p.of.name, "does not hear that it could %s %s", call.Verb, call.Name)
		}
		return fmt.Errorf("%s %s: unexpected EOF", call.Verb, call.Name)
	}
	if call.Writes() {
		w.note(p, call, err)
	}
	return err
}

// patienceOf is how much time a request has, in whole seconds. A context counts real time, in which a simulated request takes none.
func patienceOf(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	return time.Until(deadline).Round(time.Second) //nolint:forbidigo // See above.
}

// before is the answer to a request that does not get to the store; nil if it does.
func before(kind string, call apiserver.Call) error {
	resource := schema.GroupResource{Resource: string(call.Name.Kind)}
	switch kind {
	case "unavailable":
		return errUnreachable
	case "throttled":
		return apierrors.NewTooManyRequests("too many requests", 1)
	case "timeout":
		return apierrors.NewTimeoutError("request did not complete within the allotted timeout", 1)
	case "conflict":
		return apierrors.NewConflict(resource, call.Name.Name, errors.New("the object has been modified"))
	case "rejected":
		return apierrors.NewForbidden(resource, call.Name.Name, errors.New("exceeded quota"))
	default:
		return nil
	}
}

// fault is what goes wrong with a request; empty if nothing does.
func (w *world) fault(p *process, call apiserver.Call) string {
	if w.healed {
		return ""
	}
	for _, f := range w.faults {
		if w.now.Before(f.from) || !w.now.Before(f.until) || f.replica >= 0 && f.replica != p.of.index {
			continue
		}
		if (f.kind == "conflict" || f.kind == "rejected" || f.kind == "lost") && !call.Writes() {
			continue
		}
		if f.kind == "rejected" && f.namespace != call.Name.Namespace {
			continue
		}
		if w.random(p.of.name).IntN(100) < f.share {
			return f.kind
		}
	}
	return ""
}

// latency is how long half a request takes.
func (w *world) latency(p *process) time.Duration {
	if w.healed {
		return time.Millisecond
	}
	for _, f := range w.faults {
		if f.kind == "slow" && !w.now.Before(f.from) && w.now.Before(f.until) {
			return w.draw(p.of.name, 100*time.Millisecond, 20*time.Second)
		}
	}
	return w.draw(p.of.name, time.Millisecond, 40*time.Millisecond)
}
