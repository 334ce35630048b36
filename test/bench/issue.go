package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// longLife is that of tokens which are not renewed while anything is measured.
const longLife = 24 * time.Hour

func issue1000(ctx context.Context, w *World) ([]Row, error) {
	return w.issueNew(ctx, w.Size.Of(1000, 1000, 50))
}

// issueNew measures an operator that takes over and finds n ServiceTokens without a token.
func (w *World) issueNew(ctx context.Context, n int) ([]Row, error) {
	if err := w.prepareKey(ctx); err != nil {
		return nil, err
	}
	err := w.Plane.withoutAdmission(ctx, func() error { return w.Plane.createTokens(ctx, ours, n, forOf(longLife)) })
	if err != nil {
		return nil, err
	}
	before, err := w.floorIssue(ctx, n)
	if err != nil {
		return nil, err
	}
	operator, issued, err := w.issueAll(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := operator.Stop(ctx); err != nil {
		return nil, err
	}
	after, err := w.floorIssue(ctx, n)
	if err != nil {
		return nil, err
	}
	return issueRows(n, issued, before, after), nil
}

// measured is how something went, and what it took.
type measured struct {
	done  done
	spent spent
}

func issueRows(n int, issued, before, after measured) []Row {
	floorRate := (before.done.rate() + after.done.rate()) / 2
	floorServer := (before.spent.Server + after.spent.Server) / 2
	of := fmt.Sprintf("issue %d: ", n)
	requests := issued.spent.Requests
	written := writes(requests, "secrets", "") + writes(requests, "servicetokens", "status")
	return []Row{
		figure(of+"rate", issued.done.rate(), "tokens/s").against("bare client, before and after", floorRate).ratioAtLeast(0.8),
		figure(of+"writes", written/float64(n), "per token").exactly(2),
		figure(of+"events", writes(requests, "events", "")/float64(n), "per token"),
		figure(of+"reads", reads(requests)/float64(n), "per token"),
		figure(of+"operator CPU", perThousand(issued.spent.Operator, n), "s/1000"),
		figure(of+"API server CPU", perThousand(issued.spent.Server, n), "s/1000").against("bare client", perThousand(floorServer, n)),
	}
}

// prepareKey lets an operator bring a SigningKey up, and stops it.
func (w *World) prepareKey(ctx context.Context, change ...func(*v1alpha1.SigningKey)) error {
	for _, name := range []string{ours, floor} {
		if err := w.Plane.Client.Create(ctx, newNamespace(name, nil)); err != nil {
			return fmt.Errorf("create namespace: %w", err)
		}
	}
	operator, err := w.StartOperator(ctx)
	if err != nil {
		return err
	}
	key := newKey(ours)
	for _, f := range change {
		f(key)
	}
	err = w.Plane.eventually(ctx, func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(w.Plane.Client.Create(ctx, key))
	})
	if err == nil {
		err = w.Plane.eventually(ctx, func(ctx context.Context) error { return w.keyReady(ctx) })
	}
	return errors.Join(err, operator.Stop(ctx))
}

func (w *World) keyReady(ctx context.Context) error {
	key := &v1alpha1.SigningKey{}
	if err := w.Plane.Client.Get(ctx, client.ObjectKey{Namespace: ours, Name: keyName}, key); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady) {
		return errors.New("the SigningKey is not Ready")
	}
	return nil
}

// issueAll lets an operator fill its caches, and then reconcile.
func (w *World) issueAll(ctx context.Context, n int) (*Operator, measured, error) {
	lead, err := w.Plane.holdLead(ctx)
	if err != nil {
		return nil, measured{}, err
	}
	operator, err := w.StartOperator(ctx, follower()...)
	if err != nil {
		return nil, measured{}, err
	}
	m, err := w.watched(ctx, ours, n, operator, isReady, lead)
	if err != nil {
		return nil, m, errors.Join(err, operator.Stop(ctx))
	}
	return operator, m, nil
}

// watched does something and measures until n ServiceTokens are as is says. The operator is nil for the floor.
func (w *World) watched(
	ctx context.Context, namespace string, n int, operator *Operator, is func(*v1alpha1.ServiceToken) bool, do func() error,
) (measured, error) {
	await, err := w.follow(ctx, namespace, n, is)
	if err != nil {
		return measured{}, err
	}
	meter, err := w.Plane.startMeter(ctx, operator)
	if err != nil {
		return measured{}, err
	}
	var m measured
	finished := make(chan error, 1)
	go func() { finished <- do() }()
	m.done, err = await()
	if err := errors.Join(err, <-finished); err != nil {
		return m, err
	}
	if operator != nil {
		if err := w.Plane.eventually(ctx, operator.rests); err != nil {
			return m, err
		}
	}
	m.spent, err = meter.stop(ctx)
	w.Say("%d in %s, %.0f/s", n, m.done.span().Round(time.Millisecond), m.done.rate())
	return m, err
}

// floorIssue measures the bare client with as many objects, and removes them.
func (w *World) floorIssue(ctx context.Context, n int) (measured, error) {
	tokens, err := w.floorTokens(ctx, n)
	if err != nil {
		return measured{}, err
	}
	program, err := newBare(w.Plane.Operator, floor)
	if err != nil {
		return measured{}, err
	}
	m, err := w.watched(ctx, floor, n, nil, isReady, func() error { return program.issue(ctx, tokens, w.Clock.Now()) })
	return m, errors.Join(err, w.Plane.clear(ctx, floor))
}

// floorTokens are ServiceTokens that no operator looks at: they name a SigningKey that does not exist.
func (w *World) floorTokens(ctx context.Context, n int) ([]v1alpha1.ServiceToken, error) {
	tokens := make([]v1alpha1.ServiceToken, n)
	err := w.Plane.withoutAdmission(ctx, func() error {
		return each(ctx, n, harnessWorkers, func(ctx context.Context, i int) error {
			tokens[i] = *newToken(floor, i, longLife)
			return w.Plane.Client.Create(ctx, &tokens[i])
		})
	})
	return tokens, err
}
