package main

import (
	"context"
	"slices"
	"strings"
)

// fault is one thing that machines and networks do. It returns how many times it was done, and an error if the operator did not
// finish what it had to.
type fault struct {
	name string
	do   func(context.Context, *world) (times int, err error)
}

// faults are all that there are, in the order in which they are done.
func faults() []fault {
	return []fault{
		{"SIGKILL after each API request of an issue", killed(issue())},
		{"SIGKILL after each API request of a rotation", killed(rotation())},
		{"SIGKILL after each API request of a revocation", killed(revocation())},
		{"SIGSTOP past the Lease before each API request of an issue", frozen(issue())},
		{"SIGSTOP past the Lease before each API request of a rotation", frozen(rotation())},
		{"SIGSTOP past the Lease before each API request of a revocation", frozen(revocation())},
		{"etcd, the API server, or both killed and started again", serverKilled},
		{"latency, cut connections, lost requests and lost answers", disturbed},
		{"etcd restored from an older snapshot", restored},
		{"disk of the token store full", diskFull},
	}
}

func chosen(from []fault, text string) []fault {
	return slices.DeleteFunc(from, func(f fault) bool { return !strings.Contains(f.name, text) })
}

// suffer does a fault and waits until the operator has come to rest.
func (w *world) suffer(ctx context.Context, f fault) row {
	before, started := w.judge.Count(), w.clock.Now()
	w.judge.Say("%s", f.name)
	times, err := f.do(ctx, w)
	if err == nil {
		err = w.rest(ctx)
	}
	if err != nil && ctx.Err() == nil {
		w.judge.Fail("%s: %v", f.name, err)
	}
	return row{fault: f.name, times: times, took: w.clock.Since(started), Count: w.judge.Count().Since(before)}
}
