package main

import (
	"context"
	"fmt"
	"time"
)

// longLife is that of tokens which are not renewed while anything is measured.
const longLife = 24 * time.Hour

// issue1000 lets an operator take over that finds 1,000 ServiceTokens without a token, some rounds of it and of the floor in turn.
func issue1000(ctx context.Context, w *World) ([]Row, error) {
	if err := w.prepareKey(ctx); err != nil {
		return nil, err
	}
	n := w.Size.Of(1000, 1000, 50)
	var issued, bare []measured
	for range w.Size.Of(3, 1, 1) {
		m, err := w.floorIssue(ctx, n)
		if err != nil {
			return nil, err
		}
		bare = append(bare, m)
		err = w.Plane.withoutAdmission(ctx, func() error { return w.Plane.createTokens(ctx, ours, n, forOf(longLife)) })
		if err != nil {
			return nil, err
		}
		operator, m, err := w.takeOver(ctx, subject{name: fmt.Sprintf("issue-%d", n), namespace: ours, n: n, is: isReady})
		if err != nil {
			return nil, err
		}
		issued = append(issued, m)
		if err := operator.Stop(ctx); err != nil {
			return nil, err
		}
		if err := w.Plane.clear(ctx, ours); err != nil {
			return nil, err
		}
	}
	m, err := w.floorIssue(ctx, n)
	if err != nil {
		return nil, err
	}
	return workRows(fmt.Sprintf("issue %d: ", n), issued, append(bare, m)), nil
}

// workRows compare an operator that writes tokens with the bare client.
func workRows(of string, work, bare []measured) []Row {
	done, floors := together(work), together(bare)
	n := float64(done.n)
	// A ring is replaced by PUT, and is no token's.
	written := writes(done.spent.Requests, "secrets", "") - done.spent.Requests.sum("apiserver_request_total", `resource="secrets"`, `verb="PUT"`) +
		writes(done.spent.Requests, "servicetokens", "status")
	return []Row{
		figure(of+"rate", done.rate(), "tokens/s").against("bare client", floors.rate()).ratioAtLeast(0.8),
		figure(of+"writes", written/n, "per token").exactly(2),
		figure(of+"reads", reads(done.spent.Requests)/n, "per token"),
		figure(of+"events", writes(done.spent.Requests, "events", "")/n, "per token"),
		figure(of+"CPU of all: operator, API server, etcd, bench", perThousand(done.spent.All, done.n), "s/1000").
			against("bare client", perThousand(floors.spent.All, floors.n)).ratioAtMost(1.25),
		figure(of+"operator CPU", perThousand(done.spent.Operator, done.n), "s/1000"),
		figure(of+"API server CPU", perThousand(done.spent.Server, done.n), "s/1000").
			against("bare client", perThousand(floors.spent.Server, floors.n)).ratioAtMost(1.25),
	}
}
