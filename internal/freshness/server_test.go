package freshness_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/freshness"
)

const limit = 2 * time.Minute

// suspended is a clock that goes on while its timers do not, as for a process that was stopped.
type suspended struct {
	clock.RealClock
	missed atomic.Int64
}

func (s *suspended) Now() time.Time { return s.RealClock.Now().Add(time.Duration(s.missed.Load())) }

// server is what one cache sees of an API server.
type server struct {
	clock clock.RealClock
	// fills is how long the answer to a first request takes.
	fills time.Duration

	mu sync.Mutex
	// refuses turns requests away; cut leaves everything without an answer, also what was begun.
	refuses, cut bool
	lists        int
	streams      []*watch.FakeWatcher
	timeouts     []time.Duration
}

func (s *server) set(refuses, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses, s.cut = refuses, cut
}

func (s *server) isCut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

// hangUp ends the stream that is open, as a server does that goes away.
func (s *server) hangUp() {
	s.mu.Lock()
	stream := s.streams[len(s.streams)-1]
	s.mu.Unlock()
	stream.Stop()
}

// watches are the watches that were answered.
func (s *server) watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

func (s *server) listerWatcher() *toolscache.ListWatch {
	return &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lists++
			return nil, errors.New("this server has no lists")
		},
		WatchFuncWithContext: s.watch,
	}
}

func (s *server) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return nil, ctx.Err()
	}
	if s.refuses {
		return nil, errors.New("connection refused")
	}
	stream := watch.NewFakeWithChanSize(10, false)
	timeout := time.Duration(*options.TimeoutSeconds) * time.Second
	s.streams, s.timeouts = append(s.streams, stream), append(s.timeouts, timeout)
	go func() {
		if options.SendInitialEvents != nil {
			s.clock.Sleep(s.fills)
			stream.Action(watch.Bookmark, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
				ResourceVersion: "1", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
			}})
		}
		select {
		case <-ctx.Done():
		case <-s.clock.After(timeout):
			if !s.isCut() {
				stream.Stop()
			}
		}
	}()
	return stream, nil
}

// started is a View of one cache for each server, filled.
func started(t *testing.T, clk clock.Clock, servers ...*server) *freshness.View {
	t.Helper()
	view := freshness.New(clk, limit)
	for _, s := range servers {
		informer := view.NewInformer(s.listerWatcher(), &corev1.Secret{}, 0, toolscache.Indexers{})
		// The usual one waits as long as the time of day of an earlier error demands, which lies outside of this bubble.
		quiet := func(context.Context, *toolscache.Reflector, error) {}
		if err := informer.SetWatchErrorHandlerWithContext(quiet); err != nil {
			t.Fatal(err)
		}
		go informer.RunWithContext(t.Context())
	}
	pause(time.Second)
	return view
}

// pause lets the bubble's time pass and everything that falls due in it happen.
func pause(d time.Duration) {
	clock.RealClock{}.Sleep(d)
	synctest.Wait()
}

func secret(version string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n", ResourceVersion: version}}
}
