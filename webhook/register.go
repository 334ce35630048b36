package webhook

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// The paths of the webhooks, as the markers in this package name them.
const (
	PathSigningKey      = "/validate-keyturn-dev-v1alpha1-signingkey"
	PathServiceToken    = "/validate-keyturn-dev-v1alpha1-servicetoken"    //nolint:gosec // a path, not a credential
	PathTokenClient     = "/validate-keyturn-dev-v1alpha1-tokenclient"     //nolint:gosec // a path, not a credential
	PathTokenRevocation = "/validate-keyturn-dev-v1alpha1-tokenrevocation" //nolint:gosec // a path, not a credential
	PathTokenPolicy     = "/validate-keyturn-dev-v1alpha1-tokenpolicy"     //nolint:gosec // a path, not a credential
	PathSecret          = "/validate-v1-secret-token"                      //nolint:gosec // a path, not a credential
	PathPod             = "/validate-v1-pod"
)

// Options is what the handlers work with.
type Options struct {
	// Reader reads from caches: Secrets with Keyturn's label, namespaces as metadata, ServiceTokens, TokenClients and
	// TokenPolicies with spec.IndexSigningKey, and SigningKeys with spec.IndexIssuer.
	Reader client.Reader
	// APIReader reads from the API server.
	APIReader client.Reader
	Clock     clock.PassiveClock
	Operator  spec.Operator
	Permit    *permit.Checker
	// Rings are those that tokens are judged by.
	Rings *ringstore.Store
	// DenyLists say which tokens were revoked.
	DenyLists *denylist.Lists
}

// Register adds every handler to a server.
func Register(server ctrlwebhook.Server, options Options) {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	w := &world{Options: options}
	within := newReviews()
	register := func(path string, hook *admission.Webhook) { server.Register(path, within.bounded(w.judging(hook))) }
	register(PathSigningKey, admission.WithValidator(scheme, counted[*v1alpha1.SigningKey]{&signingKeys{world: w}, nameSigningKey}))
	register(PathServiceToken, admission.WithValidator(scheme, counted[*v1alpha1.ServiceToken]{&serviceTokens{world: w}, nameServiceToken}))
	register(PathTokenClient, admission.WithValidator(scheme, counted[*v1alpha1.TokenClient]{&tokenClients{world: w}, nameTokenClient}))
	register(PathTokenRevocation, admission.WithValidator(scheme, counted[*v1alpha1.TokenRevocation]{&tokenRevocations{world: w}, nameTokenRevocation}))
	register(PathTokenPolicy, admission.WithValidator(scheme, counted[*v1alpha1.TokenPolicy]{&tokenPolicies{world: w}, nameTokenPolicy}))
	register(PathSecret, admission.WithValidator(scheme, counted[*corev1.Secret]{&secrets{world: w}, nameSecret}))
	register(PathPod, admission.WithValidator(scheme, counted[*corev1.Pod]{&pods{world: w}, namePod}))
}

// world is what the handlers read of the cluster.
type world struct {
	Options
}

// namespace returns the metadata of a namespace, which has a name only if there is no such namespace.
func (w *world) namespace(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	namespace := emptyNamespace()
	if _, err := kube.Get(ctx, w.Reader, w.APIReader, client.ObjectKey{Name: name}, namespace); err != nil {
		return nil, err
	}
	namespace.Name = name
	return namespace, nil
}

func emptyNamespace() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

// signingKey returns a SigningKey, or nil if there is none that the operator knows.
func (w *world) signingKey(ctx context.Context, name client.ObjectKey) (*v1alpha1.SigningKey, error) {
	key := &v1alpha1.SigningKey{}
	if !w.Operator.Watches(name.Namespace) {
		return nil, nil
	}
	found, err := kube.Get(ctx, w.Reader, w.APIReader, name, key)
	if err != nil || !found {
		return nil, err
	}
	return key, nil
}

// claimants are the SigningKeys that claim an issuer.
func (w *world) claimants(ctx context.Context, issuer string) ([]v1alpha1.SigningKey, error) {
	var list v1alpha1.SigningKeyList
	if err := w.Reader.List(ctx, &list, client.MatchingFields{spec.IndexIssuer: issuer}); err != nil {
		return nil, fmt.Errorf("list SigningKeys of an issuer: %w", err)
	}
	return list.Items, nil
}

// dependents are the ServiceTokens that name a SigningKey.
func (w *world) dependents(ctx context.Context, key *v1alpha1.SigningKey) ([]v1alpha1.ServiceToken, error) {
	var list v1alpha1.ServiceTokenList
	name := client.ObjectKeyFromObject(key).String()
	if err := w.Reader.List(ctx, &list, client.MatchingFields{spec.IndexSigningKey: name}); err != nil {
		return nil, fmt.Errorf("list ServiceTokens of a SigningKey: %w", err)
	}
	return list.Items, nil
}

// clients are the TokenClients that name a SigningKey.
func (w *world) clients(ctx context.Context, key *v1alpha1.SigningKey) ([]v1alpha1.TokenClient, error) {
	var list v1alpha1.TokenClientList
	name := client.ObjectKeyFromObject(key).String()
	if err := w.Reader.List(ctx, &list, client.MatchingFields{spec.IndexSigningKey: name}); err != nil {
		return nil, fmt.Errorf("list TokenClients of a SigningKey: %w", err)
	}
	return list.Items, nil
}

// policies are the TokenPolicies that name a SigningKey.
func (w *world) policies(ctx context.Context, key *v1alpha1.SigningKey) ([]v1alpha1.TokenPolicy, error) {
	var list v1alpha1.TokenPolicyList
	name := client.ObjectKeyFromObject(key).String()
	if err := w.Reader.List(ctx, &list, client.MatchingFields{spec.IndexSigningKey: name}); err != nil {
		return nil, fmt.Errorf("list TokenPolicies of a SigningKey: %w", err)
	}
	return list.Items, nil
}
