package kube_test

import (
	"strconv"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/internal/kube"
)

func shown(uid types.UID, version string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{UID: uid, ResourceVersion: version}
}

func TestNewerThan(t *testing.T) {
	cases := map[string]struct {
		cached *metav1.ObjectMeta
		want   bool
	}{
		"the cache shows what was before":  {shown("a", "9"), true},
		"the cache shows what was written": {shown("a", "10"), false},
		"the cache shows what came after":  {shown("a", "11"), false},
		"a longer version is a later one":  {shown("a", "100"), false},
		"a version that is none":           {shown("a", "x"), false},
		"an object that was not written":   {shown("b", "9"), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var w kube.Written[string]
			w.Remember("a", "8", "earlier")
			w.Remember("a", "10", "value")
			got, _, ok := w.NewerThan(c.cached)
			if ok != c.want || (got == "value") != c.want || got == "earlier" {
				t.Errorf("got %q, %t, want %t", got, ok, c.want)
			}
		})
	}
}

func TestWhatTheCacheHasShownIsForgotten(t *testing.T) {
	var w kube.Written[string]
	w.Remember("a", "10", "value")
	if _, _, ok := w.NewerThan(shown("a", "10")); ok {
		t.Error("the cache has caught up and is not believed")
	}
	if got, _, ok := w.NewerThan(shown("a", "9")); ok {
		t.Errorf("%q was not forgotten", got)
	}
}

func TestWrote(t *testing.T) {
	cases := map[string]struct {
		shown *metav1.ObjectMeta
		want  bool
	}{
		"what was written":          {shown("a", "10"), true},
		"what was before":           {shown("a", "9"), false},
		"what somebody wrote after": {shown("a", "11"), false},
		"another object":            {shown("b", "10"), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var w kube.Written[string]
			w.Remember("a", "10", "value")
			if got := w.Wrote(c.shown); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
			if _, _, behind := w.NewerThan(shown("a", "9")); behind == c.want {
				t.Errorf("a cache that shows what was before is behind: %t", behind)
			}
		})
	}
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	var w kube.Written[string]
	w.Remember("a", "10", "value")
	w.Forget("a")
	if got, _, ok := w.NewerThan(shown("a", "9")); ok {
		t.Errorf("%q was not forgotten", got)
	}
}

// TestACacheThatNeverCatchesUpIsBelievedInTheEnd because versions go back in a restore of etcd.
func TestACacheThatNeverCatchesUpIsBelievedInTheEnd(t *testing.T) {
	var w kube.Written[string]
	w.Remember("a", "10", "value")
	asked := 0
	for ; asked < 1000; asked++ {
		if _, version, ok := w.NewerThan(shown("a", "9")); !ok || version != "10" {
			break
		}
	}
	if asked < 10 || asked == 1000 {
		t.Errorf("the cache is believed after %d times", asked)
	}
}

// TestWrittenByManyWorkers is for the race detector.
func TestWrittenByManyWorkers(t *testing.T) {
	var w kube.Written[int]
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			uid := types.UID(strconv.Itoa(worker))
			for i := range 50 {
				w.Remember(uid, strconv.Itoa(i+2), i)
				if got, _, ok := w.NewerThan(shown(uid, "1")); !ok || got != i {
					t.Errorf("got %d, %t, want %d", got, ok, i)
				}
			}
		})
	}
	workers.Wait()
}
