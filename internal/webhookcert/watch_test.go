package webhookcert

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// streams hands out watches whose events the test sends, and notes where each was told to begin.
type streams struct {
	opened []*watch.FakeWatcher
	from   []string
	refuse atomic.Bool
}

func (s *streams) client(t *testing.T) client.WithWatch {
	t.Helper()
	return interceptor.NewClient(newCluster(t), interceptor.Funcs{
		Watch: func(_ context.Context, _ client.WithWatch, _ client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
			applied := &client.ListOptions{}
			applied.ApplyOptions(options)
			s.from = append(s.from, applied.Raw.ResourceVersion)
			if s.refuse.Load() {
				return nil, errors.New("connection refused")
			}
			stream := watch.NewFake()
			s.opened = append(s.opened, stream)
			return stream, nil
		},
	})
}

func (s *streams) last() *watch.FakeWatcher { return s.opened[len(s.opened)-1] }

// followed starts to follow one object and returns the wake-ups.
func followed(t *testing.T, s *streams) <-chan struct{} {
	t.Helper()
	manager, err := New(s.client(t), clock.RealClock{}, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	wake := make(chan struct{}, 1)
	go manager.follow(t.Context(), manager.watched()[0], wake)
	synctest.Wait()
	return wake
}

func woken(wake <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-wake:
		return true
	default:
		return false
	}
}

func objectAt(version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
}

func TestEveryKindOfChangeWakes(t *testing.T) {
	for name, send := range map[string]func(*watch.FakeWatcher){
		"created": func(w *watch.FakeWatcher) { w.Add(objectAt("7")) },
		"changed": func(w *watch.FakeWatcher) { w.Modify(objectAt("7")) },
		"deleted": func(w *watch.FakeWatcher) { w.Delete(objectAt("7")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &streams{}
				wake := followed(t, s)
				if woken(wake) {
					t.Error("woken by nothing")
				}
				send(s.last())
				if !woken(wake) {
					t.Error("not woken")
				}
			})
		})
	}
}

func TestAWatchThatEndsIsResumedWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &streams{}
		wake := followed(t, s)
		s.last().Add(objectAt("7"))
		woken(wake)
		s.last().Action(watch.Bookmark, objectAt("9"))
		s.last().Stop()
		pause(time.Minute)
		if woken(wake) {
			t.Error("a watch that ended in good order caused a pass")
		}
		if diff := cmp.Diff([]string{"", "9"}, s.from); diff != "" {
			t.Errorf("watches began at (-want +got):\n%s", diff)
		}
	})
}

func TestAWatchThatFailedMayHaveMissedSomething(t *testing.T) {
	for name, fail := range map[string]func(*streams){
		"its history is gone": func(s *streams) {
			s.last().Error(new(apierrors.NewResourceExpired("too old resource version").ErrStatus))
		},
		"the API server refuses the next one": func(s *streams) {
			s.refuse.Store(true)
			s.last().Stop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &streams{}
				wake := followed(t, s)
				s.last().Add(objectAt("7"))
				woken(wake)
				fail(s)
				pause(10 * time.Second)
				s.refuse.Store(false)
				pause(10 * time.Minute)
				if !woken(wake) {
					t.Error("no pass was caused")
				}
				if last := s.from[len(s.from)-1]; last != "" {
					t.Errorf("the next watch begins at %q and not anew", last)
				}
				if got := len(s.from); got > 10 {
					t.Errorf("%d watches were opened", got)
				}
			})
		})
	}
}
