package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// followPatience is how long the next of many events may take.
const followPatience = time.Minute

// done is when objects were seen to be as they shall be, in the order in which they were.
type done struct {
	names []string
	at    []time.Time
}

func (d done) span() time.Duration { return d.at[len(d.at)-1].Sub(d.at[0]) }

func (d done) last() time.Time { return d.at[len(d.at)-1] }

// follow watches the ServiceTokens of a namespace from now on, and returns a function that waits until n of them are as is says.
// The floor is followed in the same way as the operator, so that the watch costs both the same.
func (w *World) follow(ctx context.Context, namespace string, n int, is func(*v1alpha1.ServiceToken) bool) (func() (done, error), error) {
	var none v1alpha1.ServiceTokenList
	if err := w.Plane.Client.List(ctx, &none, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return nil, fmt.Errorf("list ServiceTokens: %w", err)
	}
	options := &client.ListOptions{Namespace: namespace, Raw: &metav1.ListOptions{ResourceVersion: none.ResourceVersion}}
	stream, err := w.Plane.Client.Watch(ctx, &v1alpha1.ServiceTokenList{}, options)
	if err != nil {
		return nil, fmt.Errorf("watch ServiceTokens: %w", err)
	}
	var seen done
	finished := make(chan error, 1)
	// It reads from now on: an API server ends a watch that nobody reads.
	go func() {
		defer stream.Stop()
		var err error
		seen, err = w.collect(ctx, stream, n, is)
		finished <- err
	}()
	return func() (done, error) {
		err := <-finished
		return seen, err
	}, nil
}

func (w *World) collect(ctx context.Context, stream watch.Interface, n int, is func(*v1alpha1.ServiceToken) bool) (done, error) {
	var seen done
	known := map[string]bool{}
	timer := w.Clock.NewTimer(followPatience)
	defer timer.Stop()
	for len(seen.names) < n {
		select {
		case <-ctx.Done():
			return seen, context.Cause(ctx)
		case <-timer.C():
			return seen, fmt.Errorf("%d of %d are done, and nothing has happened for %s", len(seen.names), n, followPatience)
		case event, open := <-stream.ResultChan():
			if !open {
				return seen, errors.New("the API server has ended the watch")
			}
			timer.Reset(followPatience)
			if t, ok := event.Object.(*v1alpha1.ServiceToken); ok && event.Type != watch.Deleted && !known[t.Name] && is(t) {
				known[t.Name] = true
				seen.names, seen.at = append(seen.names, t.Name), append(seen.at, w.Clock.Now())
			}
		}
	}
	return seen, nil
}

// isReady says whether a ServiceToken has a token.
func isReady(t *v1alpha1.ServiceToken) bool {
	return t.Status.TokenID != "" && meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
}
