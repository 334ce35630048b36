package main

import (
	"context"
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
	f := &watcher{World: w, namespace: namespace, n: n, is: is, known: map[string]bool{}}
	var first v1alpha1.ServiceTokenList
	if err := w.Plane.Client.List(ctx, &first, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return nil, fmt.Errorf("list ServiceTokens: %w", err)
	}
	stream, err := f.watch(ctx, first.ResourceVersion)
	if err != nil {
		return nil, err
	}
	finished := make(chan error, 1)
	go func() { finished <- f.collect(ctx, stream) }()
	return func() (done, error) {
		err := <-finished
		return f.seen, err
	}, nil
}

// watcher sees when ServiceTokens are as they shall be.
type watcher struct {
	*World

	namespace string
	n         int
	is        func(*v1alpha1.ServiceToken) bool
	known     map[string]bool
	seen      done
}

func (f *watcher) watch(ctx context.Context, version string) (watch.Interface, error) {
	options := &client.ListOptions{Namespace: f.namespace, Raw: &metav1.ListOptions{ResourceVersion: version}}
	stream, err := f.Plane.Client.Watch(ctx, &v1alpha1.ServiceTokenList{}, options)
	if err != nil {
		return nil, fmt.Errorf("watch ServiceTokens: %w", err)
	}
	return stream, nil
}

// again lists and watches anew: an API server ends a watch that is not read for a moment, as on a busy machine.
func (f *watcher) again(ctx context.Context) (watch.Interface, error) {
	var list v1alpha1.ServiceTokenList
	if err := f.Plane.Client.List(ctx, &list, client.InNamespace(f.namespace)); err != nil {
		return nil, fmt.Errorf("list ServiceTokens: %w", err)
	}
	for i := range list.Items {
		f.see(&list.Items[i])
	}
	return f.watch(ctx, list.ResourceVersion)
}

func (f *watcher) see(t *v1alpha1.ServiceToken) {
	if !f.known[t.Name] && f.is(t) {
		f.known[t.Name] = true
		f.seen.names, f.seen.at = append(f.seen.names, t.Name), append(f.seen.at, f.Clock.Now())
	}
}

func (f *watcher) collect(ctx context.Context, stream watch.Interface) error {
	defer func() { stream.Stop() }()
	timer := f.Clock.NewTimer(followPatience)
	defer timer.Stop()
	for len(f.seen.names) < f.n {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C():
			return fmt.Errorf("%d of %d are done, and nothing has happened for %s", len(f.seen.names), f.n, followPatience)
		case event, open := <-stream.ResultChan():
			timer.Reset(followPatience)
			if t, ok := event.Object.(*v1alpha1.ServiceToken); ok && event.Type != watch.Deleted {
				f.see(t)
				continue
			}
			if open && event.Type != watch.Error {
				continue
			}
			next, err := f.again(ctx)
			if err != nil {
				return err
			}
			stream.Stop()
			stream = next
		}
	}
	return nil
}

// isReady says whether a ServiceToken has a token.
func isReady(t *v1alpha1.ServiceToken) bool {
	return t.Status.TokenID != "" && meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
}
