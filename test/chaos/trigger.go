package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/test/chaos/proxy"
)

// trigger counts the requests of a replica that concern a namespace. It is pulled by one of them.
type trigger struct {
	clock     clock.PassiveClock
	namespace string
	at        int
	// events says that requests count which tell of something only.
	events bool
	pulled chan string

	mu    sync.Mutex
	count int
	last  time.Time
}

func (w *world) newTrigger(op operation, n int) *trigger {
	return &trigger{
		clock: w.clock, namespace: op.namespace, at: n, events: !w.short, pulled: make(chan string, 1), last: w.clock.Now(),
	}
}

func (t *trigger) counts(request *http.Request) bool {
	path := request.URL.Path
	return strings.Contains(path, "/namespaces/"+t.namespace+"/") && request.URL.Query().Get("watch") != "true" &&
		(t.events || !strings.HasSuffix(path, "/events"))
}

// pull counts a request and says whether it is the one.
func (t *trigger) pull(request *http.Request) bool {
	if !t.counts(request) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = t.clock.Now()
	t.count++
	return t.count == t.at
}

// listen has requests looked at, so that quiet knows of them, and nothing happen to them.
func (t *trigger) listen(r *replica) {
	r.proxy.Inject(proxy.Fault{Before: func(request *http.Request) bool {
		if t.counts(request) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.last = t.clock.Now()
		}
		return true
	}})
}

// quiet says that no request that counts was made for a while.
func (t *trigger) quiet(context.Context) error {
	const still = 500 * time.Millisecond
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := t.clock.Since(t.last); since < still {
		return fmt.Errorf("the last was %s ago", since)
	}
	return nil
}

func named(request *http.Request) string { return request.Method + " " + request.URL.Path }
