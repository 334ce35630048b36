package freshness

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// observed notes which requests are answered, and sees to it that there are some.
func (v *View) observed(s *source, lw toolscache.ListerWatcherWithContext) *toolscache.ListWatch {
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			sent := v.clock.Now()
			list, err := lw.ListWithContext(ctx, options)
			// The pages after the first one show what there was at the instant of the first.
			if err == nil && options.Continue == "" {
				s.answered(sent)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			fills := options.SendInitialEvents != nil && *options.SendInitialEvents
			if !fills {
				// The server ends it, and tells before how far it has come. A cache that is being filled takes what it takes.
				timeout := int64(v.renewal() / time.Second)
				options.TimeoutSeconds = &timeout
			}
			sent := v.clock.Now()
			stream, err := lw.WatchWithContext(ctx, options)
			if err != nil {
				return nil, err
			}
			s.answered(sent)
			return v.ended(stream, fills), nil
		},
	}
}

// renewal is the time after which a watch is asked for anew.
func (v *View) renewal() time.Duration {
	return max(leastRenewal, v.limit/renewals).Truncate(time.Second)
}

// ended is a stream that ends by itself if the server does not end it: half a renewal late, or so long after a cache was
// filled. What was not read from it comes again on the next.
func (v *View) ended(stream watch.Interface, fills bool) watch.Interface {
	events := make(chan watch.Event)
	outer := watch.NewProxyWatcher(events)
	go func() {
		defer close(events)
		defer stream.Stop()
		if fills && !pass(stream, outer, events, nil, endsInitialEvents) {
			return
		}
		timer := v.clock.NewTimer(v.renewal() + v.renewal()/2)
		defer timer.Stop()
		pass(stream, outer, events, timer.C(), func(watch.Event) bool { return false })
	}()
	return outer
}

// pass hands events on until a last one, and returns true; or until the stream ends, or nobody wants more, or it is due.
func pass(stream watch.Interface, outer *watch.ProxyWatcher, events chan<- watch.Event, due <-chan time.Time, last func(watch.Event) bool) bool {
	for {
		select {
		case <-outer.StopChan():
			return false
		case <-due:
			return false
		case event, open := <-stream.ResultChan():
			if !open || !send(outer, events, event) {
				return false
			}
			if last(event) {
				return true
			}
		}
	}
}

// send returns false if nobody wants the event any more.
func send(outer *watch.ProxyWatcher, events chan<- watch.Event, event watch.Event) bool {
	select {
	case events <- event:
		return true
	case <-outer.StopChan():
		return false
	}
}

// endsInitialEvents says whether an event marks that a cache is filled.
func endsInitialEvents(event watch.Event) bool {
	object, ok := event.Object.(metav1.Object)
	return ok && event.Type == watch.Bookmark && object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}
