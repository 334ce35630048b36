package simulation

import (
	"time"

	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

// breakDown is what goes wrong by itself.
func (w *world) breakDown(a *Act) bool {
	p := w.meant(a)
	switch a.Do {
	case "crash":
		w.trap(p, a, func(bool) { p.die("it crashes") })
	case "freeze":
		w.trap(p, a, func(bool) { p.freeze(time.Duration(a.For)) })
	case "lag":
		if p != nil {
			kind := append(apiserver.Kinds(), "")[a.N%6]
			w.tell(p.of.name, "hears nothing of %s for %s", orAll(kind), a.For)
			p.cache.hold(kind, min(time.Duration(a.For), longestLag), a.N/6%2 == 0)
			w.count.fault("lag")
		}
	case "two leaders":
		w.split(a)
	case "unavailable", "throttled", "timeout", "lost", "conflict", "rejected", "slow":
		w.tell("API server", "%s for %s (%d of 100 requests, replica %d, %s)", a.Do, a.For, share(a), a.Replica, a.On)
		w.faults = append(w.faults, fault{
			kind: a.Do, replica: a.Replica, from: w.now, until: w.now.Add(time.Duration(a.For)), share: share(a), namespace: a.On,
		})
	default:
		return false
	}
	return true
}

func share(a *Act) int {
	if a.Do == "unavailable" {
		return 100
	}
	return a.N%100 + 1
}

func orAll(kind apiserver.Kind) string {
	if kind == "" {
		return "anything"
	}
	return string(kind)
}

// meant is the process that an act means; nil if it does not run.
func (w *world) meant(a *Act) *process {
	var p *process
	switch {
	case a.Replica == -2:
		p = w.lease.holder
	case a.Replica >= 0 && a.Replica < len(w.replicas):
		p = w.replicas[a.Replica].process
	}
	if p == nil || !p.alive {
		return nil
	}
	return p
}

// trap lets something happen to a process: at once, or at one of its next requests.
func (w *world) trap(p *process, a *Act, spring func(committed bool)) {
	if p == nil || p.frozen() {
		return
	}
	w.count.fault(a.Do)
	if a.N == 0 {
		spring(false)
		return
	}
	p.trap[p.calls+a.N] = spring
}

// split lets a second process believe that it leads.
func (w *world) split(a *Act) {
	for _, r := range w.replicas {
		p := r.process
		if p == nil || !p.alive || p.frozen() || p == w.lease.holder || len(p.controllers) > 0 || w.lease.holder == nil {
			continue
		}
		w.count.fault(a.Do)
		w.tell(r.name, "believes that it leads, for %s", a.For)
		p.lead()
		w.after(time.Duration(a.For), func() { p.die("it does not lead any more") })
		return
	}
}
