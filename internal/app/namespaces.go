package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// checkNamespaces says what is wrong with the value of a flag that names namespaces.
func checkNamespaces(flag string, names []string) error {
	var faults []error
	for i, name := range names {
		switch wrong := validation.ValidateNamespaceName(name, false); {
		case name == "":
			faults = append(faults, fmt.Errorf("%s=%q: item %d is empty: name a namespace, or leave the flag out to work in all",
				flag, strings.Join(names, ","), i+1))
		case len(wrong) > 0:
			faults = append(faults, fmt.Errorf("%s: %q is not the name of a namespace: %s", flag, name, strings.Join(wrong, ", ")))
		case slices.Contains(names[:i], name):
			faults = append(faults, fmt.Errorf("%s: namespace %q is named twice", flag, name))
		}
	}
	return errors.Join(faults...)
}

// restrict keeps caches to some namespaces; none means all.
func restrict(options *cache.Options, namespaces []string) {
	if len(namespaces) == 0 {
		return
	}
	options.DefaultNamespaces = map[string]cache.Config{}
	for _, name := range namespaces {
		options.DefaultNamespaces[name] = cache.Config{}
	}
	strict := options.NewInformer
	options.NewInformer = func(
		of toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	) toolscache.SharedIndexInformer {
		if _, ofCluster := example.(*metav1.PartialObjectMetadata); ofCluster { // The namespaces themselves.
			return strict(of, example, resync, indexers)
		}
		var informer toolscache.SharedIndexInformer
		informer = strict(tolerate(of, func() []any { return informer.GetStore().List() }), example, resync, indexers)
		return informer
	}
}

// tolerate takes it for no failure that the operator may not read a namespace: its Role goes with the namespace, and one
// that somebody deletes, or has not made yet, must not keep all others from being served. What was read last counts, at
// first nothing. Nobody else's operator has more rights, so nothing can have been rotated or revoked there since.
func tolerate(of toolscache.ListerWatcher, known func() []any) *toolscache.ListWatch {
	inner := toolscache.ToListerWatcherWithContext(of)
	// The latest list was made of what is known, so that nobody knows what has been deleted meanwhile.
	var behind atomic.Bool
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := inner.ListWithContext(ctx, options)
			if apierrors.IsForbidden(err) {
				behind.Store(true)
				return listOf(known()), nil
			}
			behind.Store(behind.Load() && err != nil)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := inner.WatchWithContext(ctx, options)
			standsForList := options.SendInitialEvents != nil
			switch {
			case standsForList:
				// It is followed by that list where it fails.
				behind.Store(behind.Load() && err != nil)
			case err == nil && behind.Load():
				events.Stop()
				return nil, apierrors.NewResourceExpired("the namespace may be read again: it has to be listed first")
			case apierrors.IsForbidden(err):
				ctrl.Log.Error(err, "what was last read of a namespace of --watch-namespaces counts until there is a Role again")
				return watch.NewFake(), nil // Nothing happens on it, and it is ended and asked for anew like any other.
			}
			return events, err
		},
	}
}

func listOf(objects []any) *metav1.List {
	list := &metav1.List{}
	for _, object := range objects {
		if known, ok := object.(runtime.Object); ok {
			list.Items = append(list.Items, runtime.RawExtension{Object: known})
		}
	}
	return list
}
