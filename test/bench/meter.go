package main

import (
	"context"
	"time"
)

// meter is what had been used before something was measured.
type meter struct {
	plane    *Plane
	operator *Operator // nil for the floor
	used     usage
	server   usage
	requests series
}

// spent is what was used while something was measured.
type spent struct {
	// Operator and Server are the CPU time of the operator and of the API server.
	Operator, Server time.Duration
	// Requests are the counters of the API server.
	Requests series
}

// startMeter begins to measure; the operator may be nil.
func (p *Plane) startMeter(ctx context.Context, operator *Operator) (*meter, error) {
	m := &meter{plane: p, operator: operator}
	var err error
	if operator != nil {
		if m.used, err = operator.Usage(); err != nil {
			return nil, err
		}
	}
	if m.requests, err = p.ServerMetrics(ctx); err != nil {
		return nil, err
	}
	m.server, err = p.ServerUsage()
	return m, err
}

// stop returns what was used since the start.
func (m *meter) stop(ctx context.Context) (spent, error) {
	server, err := m.plane.ServerUsage()
	if err != nil {
		return spent{}, err
	}
	s := spent{Server: server.CPU - m.server.CPU}
	if m.operator != nil {
		used, err := m.operator.Usage()
		if err != nil {
			return s, err
		}
		s.Operator = used.CPU - m.used.CPU
	}
	requests, err := m.plane.ServerMetrics(ctx)
	s.Requests = requests.minus(m.requests)
	return s, err
}

// perThousand is CPU seconds for each 1,000 of n.
func perThousand(used time.Duration, n int) float64 {
	return used.Seconds() * 1000 / float64(n)
}
