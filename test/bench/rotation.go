package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// What a key waits before it signs: how long verifiers cache, copies take and clocks differ.
const (
	verifierCache = 3 * time.Second
	propagation   = time.Second
	skew          = time.Second
	shortLead     = verifierCache + propagation + skew
)

// soon makes a key wait for seconds only.
func soon(key *v1alpha1.SigningKey) {
	key.Spec.Rotation.VerifierCacheDuration = &metav1.Duration{Duration: verifierCache}
	key.Spec.Rotation.PropagationDelay = &metav1.Duration{Duration: propagation}
	key.Spec.Rotation.ClockSkew = &metav1.Duration{Duration: skew}
}

// rotation asks for one and measures until another key signs and the operator rests.
func (w *World) rotation(ctx context.Context, operator *Operator) (spent, time.Duration, error) {
	key := &v1alpha1.SigningKey{}
	if err := w.Plane.Client.Get(ctx, client.ObjectKey{Namespace: ours, Name: keyName}, key); err != nil {
		return spent{}, 0, fmt.Errorf("read SigningKey: %w", err)
	}
	was := key.Status.ActiveKeyID
	meter, err := w.Plane.startMeter(ctx, operator)
	if err != nil {
		return spent{}, 0, err
	}
	started := w.Clock.Now()
	if err := w.changeKey(ctx, func(key *v1alpha1.SigningKey) {
		key.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"}
	}); err != nil {
		return spent{}, 0, err
	}
	err = w.Plane.eventually(ctx, func(ctx context.Context) error {
		if err := w.Plane.Client.Get(ctx, client.ObjectKeyFromObject(key), key); err != nil {
			return err
		}
		if key.Status.ActiveKeyID == was {
			return errors.New("the same key signs")
		}
		return nil
	})
	took := w.Clock.Since(started)
	if err == nil {
		err = w.Plane.eventually(ctx, operator.rests)
	}
	if err != nil {
		return spent{}, 0, err
	}
	used, err := meter.stop(ctx)
	w.Say("rotation: %s", took.Round(time.Millisecond))
	return used, took, err
}

// copies rotates a key whose JWKS many namespaces receive.
func copies(ctx context.Context, w *World) ([]Row, error) {
	n := w.Size.Of(1000, 200, 10)
	marks := map[string]string{"bench": "copies"}
	err := each(ctx, n, harnessWorkers, func(ctx context.Context, i int) error {
		return w.Plane.Client.Create(ctx, newNamespace(fmt.Sprintf("copies-%04d", i), marks))
	})
	if err != nil {
		return nil, fmt.Errorf("create namespaces: %w", err)
	}
	err = w.prepareKey(ctx, soon, func(key *v1alpha1.SigningKey) {
		key.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: marks}
	})
	if err != nil {
		return nil, err
	}
	operator, err := w.StartOperator(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.Plane.eventually(ctx, operator.rests); err != nil {
		return nil, errors.Join(err, operator.Stop(ctx))
	}
	used, took, err := w.rotation(ctx, operator)
	if err := errors.Join(err, operator.Stop(ctx)); err != nil {
		return nil, err
	}
	of := fmt.Sprintf("rotate with %d copies of the JWKS: ", n)
	return []Row{
		figure(of+"writes of copies", writes(used.Requests, "configmaps", "")/float64(n+1), "per copy").exactly(1),
		figure(of+"other writes", allWrites(used.Requests)-writes(used.Requests, "configmaps", "")-writes(used.Requests, "events", ""), ""),
		figure(of+"beyond the wait for verifiers", (took - shortLead).Seconds(), "s"),
		figure(of+"operator CPU", perThousand(used.Operator, n), "s/1000"),
		figure(of+"API server CPU", perThousand(used.Server, n), "s/1000"),
	}, nil
}
