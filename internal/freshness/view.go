package freshness

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// leastRenewal is the shortest time after which a watch is asked for anew. An API server tells how far a watch has come two
// seconds before it ends it, so that the next one can go on from there.
const leastRenewal = 3 * time.Second

// renewals is how many times within the limit each watch is asked for.
const renewals = 4

// View is what a replica's caches show. It is safe for concurrent use.
type View struct {
	clock clock.Clock
	limit time.Duration

	mu      sync.Mutex
	sources []*source
}

// source is one cache, and the watch that fills it.
type source struct {
	kind     string
	informer toolscache.SharedIndexInformer

	mu sync.Mutex
	// heard is when the latest request was sent that the API server has answered; zero if there was none.
	heard time.Time
}

// New makes a View that counts as too old when some cache has heard nothing for longer than limit, at least 5 seconds.
func New(clk clock.Clock, limit time.Duration) *View {
	return &View{clock: clk, limit: limit}
}

// NewInformer makes an informer whose freshness the View knows. It is for cache.Options of controller-runtime.
func (v *View) NewInformer(
	lw toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
) toolscache.SharedIndexInformer {
	s := &source{kind: kindOf(example)}
	s.informer = toolscache.NewSharedIndexInformer(v.observed(s, toolscache.ToListerWatcherWithContext(lw)), example, resync, indexers)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sources = append(v.sources, s)
	return s.informer
}

// Heard is the instant as of which everything that the caches show is known: all that was changed before it has arrived, or
// is arriving. It is zero while some cache has heard nothing yet.
func (v *View) Heard() time.Time {
	heard, _ := v.oldest()
	return heard
}

// Age is how long ago Heard was: by the clock on the wall, which goes on while a machine sleeps, and by the one that nobody
// sets back; the longer of the two.
func (v *View) Age(now time.Time) time.Duration {
	return age(v.Heard(), now)
}

// IsStale says whether the View is older than the limit.
func (v *View) IsStale(now time.Time) bool {
	return v.Age(now) > v.limit
}

// Fresh is a healthz.Checker. It returns nil while every cache is filled and none has heard nothing for longer than the limit.
func (v *View) Fresh(*http.Request) error {
	v.mu.Lock()
	sources := v.sources
	v.mu.Unlock()
	if len(sources) == 0 {
		return errors.New("nothing of the cluster is known yet")
	}
	for _, s := range sources {
		if !s.informer.HasSynced() {
			return fmt.Errorf("the cache of %s is being filled", s.kind)
		}
	}
	heard, s := v.oldest()
	if old := age(heard, v.clock.Now()); old > v.limit {
		return fmt.Errorf("the API server was last heard of %s at %s, longer ago than %s: it cannot be reached, or refuses to show them",
			s.kind, heard.UTC().Format(time.RFC3339), v.limit)
	}
	return nil
}

// oldest is the source that was heard of least recently.
func (v *View) oldest() (time.Time, *source) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var oldest *source
	var heard time.Time
	for _, s := range v.sources {
		if at := s.lastHeard(); oldest == nil || at.Before(heard) {
			oldest, heard = s, at
		}
	}
	return heard, oldest
}

func (s *source) lastHeard() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// answered notes that the API server has answered a request that was sent at that instant.
func (s *source) answered(sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent.After(s.heard) {
		s.heard = sent
	}
}

func age(heard, now time.Time) time.Duration {
	if heard.IsZero() {
		return math.MaxInt64
	}
	return max(now.Sub(heard), now.Round(0).Sub(heard.Round(0)))
}

// kindOf names what a cache holds, for people.
func kindOf(example runtime.Object) string {
	if metadata, ok := example.(*metav1.PartialObjectMetadata); ok {
		return metadata.Kind + "s"
	}
	return reflect.TypeOf(example).Elem().Name() + "s"
}
