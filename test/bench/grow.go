package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// grow lets one operator have more and more ServiceTokens, looks at its memory at each number, and at what it does when nothing
// happens.
func grow(ctx context.Context, w *World) ([]Row, error) {
	if err := w.prepareKey(ctx); err != nil {
		return nil, err
	}
	operator, err := w.StartOperator(ctx, "--leader-elect=true")
	if err != nil {
		return nil, err
	}
	rows, err := w.growBy(ctx, operator)
	return rows, errors.Join(err, operator.Stop(ctx))
}

func (w *World) growBy(ctx context.Context, operator *Operator) ([]Row, error) {
	empty, err := operator.Memory(ctx)
	if err != nil {
		return nil, err
	}
	rows := []Row{
		figure("memory without tokens: heap", empty.Heap/mebi, "MiB"),
		figure("memory without tokens: RSS", empty.RSS/mebi, "MiB"),
	}
	idleAt := w.Size.Of(10_000, 2_000, 100)
	have := 0
	for _, n := range []int{w.Size.Of(1_000, 500, 20), idleAt, w.Size.Of(50_000, 5_000, 200)} {
		used, err := w.issueMore(ctx, operator, have, n)
		if err != nil {
			return rows, err
		}
		now, err := operator.Memory(ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, grown(n, have, used, now, empty)...)
		have = n
		if n == idleAt {
			idle, err := w.idle(ctx, operator, n)
			if err != nil {
				return rows, err
			}
			rows = append(rows, idle...)
		}
	}
	return rows, nil
}

func grown(n, had int, used spent, now, empty memory) []Row {
	of := fmt.Sprintf("memory with %d tokens: ", n)
	rss := figure(of+"RSS", now.RSS/mebi, "MiB")
	if n <= 10_000 {
		rss = rss.atMost(150)
	}
	return []Row{
		figure(of+"heap", now.Heap/mebi, "MiB"),
		figure(of+"heap for each", (now.Heap-empty.Heap)/float64(n)/(1<<10), "KiB").atMost(8),
		rss,
		figure(of+"operator CPU of the last", perThousand(used.Operator, n-had), "s/1000"),
	}
}

// issueMore creates ServiceTokens until there are n, and returns when all are Ready and the operator rests.
func (w *World) issueMore(ctx context.Context, operator *Operator, have, n int) (spent, error) {
	await, err := w.follow(ctx, ours, n-have, isReady)
	if err != nil {
		return spent{}, err
	}
	meter, err := w.Plane.startMeter(ctx, operator)
	if err != nil {
		return spent{}, err
	}
	err = w.Plane.withoutAdmission(ctx, func() error {
		return each(ctx, n-have, harnessWorkers, func(ctx context.Context, i int) error {
			return w.Plane.Client.Create(ctx, newToken(ours, have+i, longLife))
		})
	})
	if err != nil {
		return spent{}, err
	}
	seen, err := await()
	if err != nil {
		return spent{}, err
	}
	w.Say("%d tokens; the last %d in %s", n, n-have, seen.span().Round(time.Second))
	if err := w.Plane.eventually(ctx, operator.rests); err != nil {
		return spent{}, err
	}
	return meter.stop(ctx)
}

// idle watches the operator while nothing happens.
func (w *World) idle(ctx context.Context, operator *Operator, n int) ([]Row, error) {
	lasting := time.Duration(w.Size.Of(600, 60, 5)) * time.Second
	w.Say("nothing happens for %s", lasting)
	meter, err := w.Plane.startMeter(ctx, operator)
	if err != nil {
		return nil, err
	}
	before, err := operator.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-w.Clock.After(lasting):
	}
	after, err := operator.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	used, err := meter.stop(ctx)
	made := after.minus(before)
	of := fmt.Sprintf("idle for %s with %d tokens: ", lasting, n)
	asked := func(method string) float64 { return made.sum("rest_client_requests_total", `method="`+method+`"`) }
	return []Row{
		figure(of+"writes but of the Lease", asked("POST")+asked("PATCH")+asked("DELETE")+allWrites(used.Requests), "").exactly(0),
		figure(of+"reads of objects", reads(used.Requests), "").exactly(0),
		figure(of+"requests for watches and the Lease", (asked("GET")+asked("PUT"))/lasting.Minutes(), "per minute"),
		figure(of+"operator CPU", used.Operator.Seconds()/lasting.Minutes(), "s per minute"),
	}, err
}

// foreign looks at the memory of an operator in a cluster full of what is not Keyturn's.
func foreign(ctx context.Context, w *World) ([]Row, error) {
	if err := w.prepareKey(ctx); err != nil {
		return nil, err
	}
	before, err := w.memoryAfterStart(ctx)
	if err != nil {
		return nil, err
	}
	n := w.Size.Of(50_000, 5_000, 100)
	if err := w.Plane.createForeign(ctx, n); err != nil {
		return nil, err
	}
	after, err := w.memoryAfterStart(ctx)
	if err != nil {
		return nil, err
	}
	of := fmt.Sprintf("memory beside %d foreign Secrets and ConfigMaps: ", n)
	return []Row{
		figure(of+"heap more than without", (after.Heap-before.Heap)/mebi, "MiB").atMost(10),
		figure(of+"RSS more than without", (after.RSS-before.RSS)/mebi, "MiB").atMost(10),
	}, nil
}

// memoryAfterStart is that of an operator that has just filled its caches.
func (w *World) memoryAfterStart(ctx context.Context) (memory, error) {
	operator, err := w.StartOperator(ctx)
	if err != nil {
		return memory{}, err
	}
	if err := w.Plane.eventually(ctx, operator.rests); err != nil {
		return memory{}, errors.Join(err, operator.Stop(ctx))
	}
	now, err := operator.Memory(ctx)
	return now, errors.Join(err, operator.Stop(ctx))
}
