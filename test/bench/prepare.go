package main

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

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
		err = w.Plane.eventually(ctx, w.keyReady)
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

// takeOver starts an operator that fills its caches and then gets the lead, and measures what it does from then on.
func (w *World) takeOver(ctx context.Context, s subject) (*Operator, measured, error) {
	lead, err := w.Plane.holdLead(ctx)
	if err != nil {
		return nil, measured{}, err
	}
	if s.operator, err = w.StartOperator(ctx, follower()...); err != nil {
		return nil, measured{}, err
	}
	m, err := w.watched(ctx, s, lead)
	if err != nil {
		return nil, m, errors.Join(err, s.operator.Stop(ctx))
	}
	return s.operator, m, nil
}

// floorIssue measures the bare client with n objects, and removes them. No operator runs.
func (w *World) floorIssue(ctx context.Context, n int) (measured, error) {
	return w.floorWith(ctx, n, func(program *bare, tokens []v1alpha1.ServiceToken) (measured, error) {
		return w.watched(ctx, subject{name: "floor", namespace: floor, n: n, is: isReady}, func() error {
			return program.issue(ctx, tokens, w.Clock.Now())
		})
	})
}

// floorRenew is floorIssue for Secrets that are there.
func (w *World) floorRenew(ctx context.Context, n int) (measured, error) {
	return w.floorWith(ctx, n, func(program *bare, tokens []v1alpha1.ServiceToken) (measured, error) {
		if err := program.issue(ctx, tokens, w.Clock.Now()); err != nil {
			return measured{}, err
		}
		// What the watch shows after its start are the renewals alone.
		return w.watched(ctx, subject{name: "floor", namespace: floor, n: n, is: isReady}, func() error {
			return program.renew(ctx, tokens, w.Clock.Now())
		})
	})
}

// floorWith makes ServiceTokens for the bare client.
func (w *World) floorWith(ctx context.Context, n int, use func(*bare, []v1alpha1.ServiceToken) (measured, error)) (measured, error) {
	tokens := make([]v1alpha1.ServiceToken, n)
	err := w.Plane.withoutAdmission(ctx, func() error {
		return each(ctx, n, harnessWorkers, func(ctx context.Context, i int) error {
			tokens[i] = *newToken(floor, i, longLife)
			return w.Plane.Client.Create(ctx, &tokens[i])
		})
	})
	if err != nil {
		return measured{}, err
	}
	program, err := newBare(w.Plane.Operator, floor)
	if err != nil {
		return measured{}, err
	}
	m, err := use(program, tokens)
	return m, errors.Join(err, w.Plane.clear(ctx, floor))
}
