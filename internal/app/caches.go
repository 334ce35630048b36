package app

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/freshness"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// cacheOptions keep in memory only what is Keyturn's: Secrets and ConfigMaps by label, everything without the managed
// fields, which nothing reads and which are often larger than the object.
func cacheOptions(operator spec.Operator, view *freshness.View) cache.Options {
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	options := cache.Options{
		NewInformer:      view.NewInformer,
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}:    {Label: ours},
			&corev1.ConfigMap{}: {Label: ours},
		},
	}
	restrict(&options, operator.WatchedNamespaces)
	return options
}

// forget keeps a store from holding the private halves of SigningKeys that are gone, on every replica, leader or not.
func forget(ctx context.Context, informers cache.Informers, rings *ringstore.Store) error {
	keys, err := informers.GetInformer(ctx, &v1alpha1.SigningKey{})
	if err == nil {
		_, err = keys.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
			if unseen, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unseen.Obj
			}
			if key, ok := object.(*v1alpha1.SigningKey); ok {
				rings.Forget(key.UID)
			}
		}})
	}
	if err != nil {
		return fmt.Errorf("watch the end of SigningKeys: %w", err)
	}
	return nil
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer, operator spec.Operator) error {
	for _, index := range []struct {
		of    client.Object
		field string
		value client.IndexerFunc
	}{
		{&v1alpha1.SigningKey{}, spec.IndexIssuer, operator.IssuerIndex},
		{&v1alpha1.ServiceToken{}, spec.IndexSigningKey, spec.SigningKeyIndex},
		{&v1alpha1.TokenClient{}, spec.IndexSigningKey, spec.SigningKeyIndex},
		{&v1alpha1.TokenClient{}, spec.IndexClientSecret, spec.ClientSecretIndex},
		{&v1alpha1.TokenPolicy{}, spec.IndexSigningKey, spec.SigningKeyIndex},
		{&v1alpha1.TokenRevocation{}, spec.IndexSigningKey, spec.SigningKeyIndex},
	} {
		if err := indexer.IndexField(ctx, index.of, index.field, index.value); err != nil {
			return fmt.Errorf("index %T by %s: %w", index.of, index.field, err)
		}
	}
	return nil
}
