package operator

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/test/controlplane"
)

// gate holds one request of an operator, as a freeze of its process between a decision and a write does.
type gate struct {
	// holds and armedBy are a method and how a path ends, with a space between.
	holds, armedBy string
	state          atomic.Int32
	open           chan struct{}
	// answer is what the API server said to the request at last.
	answer chan int
}

const (
	armed int32 = iota + 1
	held
)

func newGate(holds string) *gate {
	return &gate{holds: holds, open: make(chan struct{}), answer: make(chan int, 1)}
}

// arm makes the gate hold the next request that it is for.
func (g *gate) arm() { g.state.Store(armed) }

func (g *gate) isHeld() error {
	if g.state.Load() != held {
		return fmt.Errorf("no %s is held", g.holds)
	}
	return nil
}

// between puts the gate between an operator and the API server.
func (g *gate) between(_ *app.Options, config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &gatekeeper{gate: g, next: next} })
}

type gatekeeper struct {
	*gate
	next http.RoundTripper
}

func (g *gatekeeper) RoundTrip(request *http.Request) (*http.Response, error) {
	if is(request, g.armedBy) {
		g.state.CompareAndSwap(0, armed)
	}
	if !is(request, g.holds) || !g.state.CompareAndSwap(armed, held) {
		return g.next.RoundTrip(request)
	}
	select {
	case <-g.open:
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	response, err := g.next.RoundTrip(request)
	if err == nil {
		g.answer <- response.StatusCode
	}
	return response, err
}

func is(request *http.Request, meant string) bool {
	method, suffix, given := strings.Cut(meant, " ")
	return given && request.Method == method && strings.HasSuffix(request.URL.Path, suffix)
}

// takeOver starts another operator beside one that goes on running, with as many workers as are held.
func (w *world) takeOver(workers float64) {
	w.t.Helper()
	frozen := w.op
	w.eventually("the others have come to rest", func() error {
		if n := gauge(w.t, running); n != workers {
			return fmt.Errorf("%v workers run, want %v", n, workers)
		}
		return nil
	})
	port := freePort(w.t)
	w.op = startOperator(w.t, frozen.clock, func(options *app.Options, _ *rest.Config) { options.WebhookPort = port })
	w.op.reconcilesBefore, w.op.busyBefore = frozen.reconcilesBefore, frozen.busyBefore-workers
	stop := w.op.stop
	w.op.stop = func() {
		stop()
		frozen.stop()
	}
}

// letGo lets the held request through and returns the API server's answer once both operators have come to rest.
func (w *world) letGo(g *gate) int {
	w.t.Helper()
	close(g.open)
	var status int
	w.eventually("the held request is answered", func() error {
		select {
		case status = <-g.answer:
			return nil
		default:
			return fmt.Errorf("it is not")
		}
	})
	w.settled(0)
	return status
}

// history follows an object from now on.
type history struct {
	w      *world
	object client.Object
	events watch.Interface
}

func (w *world) follow(object client.Object, list client.ObjectList) *history {
	w.t.Helper()
	c, err := client.NewWithWatch(suite.Config(w.t), client.Options{Scheme: controlplane.Scheme()})
	w.must(err)
	w.must(w.c.Get(w.t.Context(), client.ObjectKeyFromObject(object), object))
	events, err := c.Watch(w.t.Context(), list, &client.ListOptions{
		Namespace:     object.GetNamespace(),
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, object.GetName()),
		Raw:           &metav1.ListOptions{ResourceVersion: object.GetResourceVersion()},
	})
	w.must(err)
	w.t.Cleanup(events.Stop)
	return &history{w: w, object: object, events: events}
}

// never fails if the object was removed since, or ever was what wrong says it must not be.
func (h *history) never(wrong func(client.Object) error) {
	h.w.t.Helper()
	const mark = "test.keyturn.dev/now"
	h.w.patch(h.object, func() {
		h.object.SetAnnotations(map[string]string{mark: "true"})
	})
	ctx, cancel := context.WithTimeout(h.w.t.Context(), patience)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			h.w.t.Fatal("the watch does not show the present")
		case event, open := <-h.events.ResultChan():
			seen, ok := event.Object.(client.Object)
			if !open || !ok || event.Type == watch.Deleted {
				h.w.t.Fatalf("the object was removed, or the watch has ended: %v", event.Type)
			}
			if err := wrong(seen); err != nil {
				h.w.t.Errorf("%T %s: %v", seen, seen.GetName(), err)
			}
			if seen.GetAnnotations()[mark] != "" {
				return
			}
		}
	}
}
