package app

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/freshness"
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
func cacheOptions(view *freshness.View) cache.Options {
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	return cache.Options{
		NewInformer:      view.NewInformer,
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}:    {Label: ours},
			&corev1.ConfigMap{}: {Label: ours},
		},
	}
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer, operator spec.Operator) error {
	if err := indexer.IndexField(ctx, &v1alpha1.ServiceToken{}, spec.IndexSigningKey, spec.SigningKeyIndex); err != nil {
		return fmt.Errorf("index ServiceTokens: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.SigningKey{}, spec.IndexIssuer, operator.IssuerIndex); err != nil {
		return fmt.Errorf("index SigningKeys: %w", err)
	}
	return nil
}
