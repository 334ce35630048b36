package kube

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Written remembers what was written last of each object, until the cache shows it: a reconcile that a write itself
// caused must not act on what the cache showed before that write. The zero value is ready; it is safe for concurrent use.
type Written[T any] struct {
	mu   sync.Mutex
	last map[types.UID]written[T]
}

type written[T any] struct {
	version string
	value   T
	asked   int
}

// patience is how often a cache may lag behind one write. After a restore of etcd it does so for ever.
const patience = 50

// Remember notes a write and the resourceVersion that the API server answered with.
func (w *Written[T]) Remember(uid types.UID, version string, value T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[types.UID]written[T]{}
	}
	w.last[uid] = written[T]{version: version, value: value}
}

// Wrote says whether an object that a cache has begun to show is, in that version, what was written last. Then it need not be
// remembered any more.
func (w *Written[T]) Wrote(object metav1.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.last[object.GetUID()]
	if !ok || last.version != object.GetResourceVersion() {
		return false
	}
	delete(w.last, object.GetUID())
	return true
}

// Forget drops what was written of an object that is no more.
func (w *Written[T]) Forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, uid)
}

// NewerThan returns what was written and its resourceVersion, if that is newer than the object as a cache shows it.
func (w *Written[T]) NewerThan(object metav1.Object) (T, string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.last[object.GetUID()]
	if !ok {
		return last.value, "", false
	}
	if order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), last.version); err == nil && order < 0 && last.asked < patience {
		last.asked++
		w.last[object.GetUID()] = last
		return last.value, last.version, true
	}
	delete(w.last, object.GetUID())
	var none T
	return none, "", false
}
