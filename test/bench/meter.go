package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/hack/local/binaries"
)

// meter is what had been used before something was measured.
type meter struct {
	plane    *Plane
	operator *Operator // nil for the floor
	used     map[string]time.Duration
	requests series
}

// The programs whose CPU time is read: those of the control plane, the operator and this one, which makes the floor's requests and
// watches in both cases.
const (
	server  = binaries.APIServer
	store   = binaries.Etcd
	program = "keyturn"
	itself  = "bench"
)

// spent is what was used while something was measured.
type spent struct {
	// Operator and Server are the CPU time of the operator and of the API server, and All that of etcd and of this program too.
	Operator, Server, All time.Duration
	// Requests are the counters of the API server.
	Requests series
}

// startMeter begins to measure; the operator may be nil.
func (p *Plane) startMeter(ctx context.Context, operator *Operator) (*meter, error) {
	m := &meter{plane: p, operator: operator}
	var err error
	if m.requests, err = p.ServerMetrics(ctx); err != nil {
		return nil, err
	}
	m.used, err = m.read()
	return m, err
}

// read returns the CPU time that each program has used.
func (m *meter) read() (map[string]time.Duration, error) {
	pids := map[string]int{itself: os.Getpid()}
	for _, component := range []string{server, store} {
		identity, err := m.plane.cluster.Process(component)
		if err != nil {
			return nil, err
		}
		pids[component] = identity.PID
	}
	if m.operator != nil {
		pids[program] = m.operator.identity.PID
	}
	used := map[string]time.Duration{}
	for name, pid := range pids {
		now, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		used[name] = now.CPU
	}
	return used, nil
}

// stop returns what was used since the start.
func (m *meter) stop(ctx context.Context) (spent, error) {
	used, err := m.read()
	if err != nil {
		return spent{}, err
	}
	s := spent{Operator: used[program] - m.used[program], Server: used[server] - m.used[server]}
	for name := range used {
		s.All += used[name] - m.used[name]
	}
	requests, err := m.plane.ServerMetrics(ctx)
	s.Requests = requests.minus(m.requests)
	return s, err
}

// perThousand is CPU seconds for each 1,000 of n.
func perThousand(used time.Duration, n int) float64 {
	return used.Seconds() * 1000 / float64(n)
}

// measured is how something went, and what it took.
type measured struct {
	n     int
	took  time.Duration
	spent spent
	// done is the order in which it was done.
	done done
}

// rate is objects per second, from the first that was done to the last.
func (m measured) rate() float64 { return float64(m.n) / m.took.Seconds() }

// together adds up rounds of the same.
func together(rounds []measured) measured {
	all := measured{spent: spent{Requests: series{}}}
	for _, m := range rounds {
		all.n, all.took = all.n+m.n, all.took+m.took
		all.spent.Operator, all.spent.Server = all.spent.Operator+m.spent.Operator, all.spent.Server+m.spent.Server
		all.spent.All += m.spent.All
		for name, count := range m.spent.Requests {
			all.spent.Requests[name] += count
		}
	}
	return all
}

// subject is what is measured.
type subject struct {
	// name is what its profile is called.
	name string
	// operator works; nil for the floor.
	operator *Operator
	// namespace has n ServiceTokens that is shall be true of in the end.
	namespace string
	n         int
	is        func(*v1alpha1.ServiceToken) bool
}

// watched does something and measures until all ServiceTokens are as they shall be, and the operator rests.
func (w *World) watched(ctx context.Context, s subject, do func() error) (measured, error) {
	var m measured
	await, err := w.follow(ctx, s.namespace, s.n, s.is)
	if err != nil {
		return m, err
	}
	meter, err := w.Plane.startMeter(ctx, s.operator)
	if err != nil {
		return m, err
	}
	work, working := errgroup.WithContext(ctx)
	work.Go(do)
	work.Go(func() error { return w.profile(working, s.operator, s.name) })
	m.done, err = await()
	if err := errors.Join(err, work.Wait()); err != nil {
		return m, err
	}
	if s.operator != nil {
		if err := w.Plane.eventually(ctx, s.operator.rests); err != nil {
			return m, err
		}
	}
	m.spent, err = meter.stop(ctx)
	m.n, m.took = s.n, m.done.span()
	w.Say("%s: %d in %s, %.0f/s", s.name, s.n, m.took.Round(time.Millisecond), m.rate())
	return m, err
}
