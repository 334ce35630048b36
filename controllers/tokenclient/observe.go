package tokenclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// world is what is known of one TokenClient while it is reconciled.
type world struct {
	object *v1alpha1.TokenClient
	key    *v1alpha1.SigningKey
	// endpoint is where the client asks for tokens; empty while that is nowhere.
	endpoint string
	// problem is the first thing that keeps the client from asking for tokens; nil if nothing does.
	problem error

	// secret is the Secret of the client secret; nil if there is none that is used. keeper keeps it.
	secret *corev1.Secret
	keeper clientsecret.Keeper
	// foreign says that a foreign Secret has its name.
	foreign bool
	// leftovers are Secrets of Keyturn's making that the TokenClient does not name any more.
	leftovers []corev1.Secret

	// cause is why a client secret was generated in this pass; empty if none was.
	cause cause
	// content is what the Secret holds at the end of this pass.
	content clientsecret.Content
	// next is when the client secret before the last rotation stops being valid; zero if there is none.
	next time.Time
	// read says that all of this is known; otherwise the status keeps what it says.
	read bool
	// retry says that something is in the way that no cache tells of.
	retry bool
}

// block notes a problem. The one that was noted first is told.
func (w *world) block(problem *kube.ProblemError) {
	if w.problem == nil && problem != nil {
		w.problem = problem
	}
}

// errCacheFollows says that the cache does not show yet what this controller has written.
var errCacheFollows = errors.New("the cache does not show the last write yet")

// observe gathers what the decision needs. What somebody has to mend becomes the world's problem, and does not keep a client
// secret from being rotated.
func (r *Reconciler) observe(ctx context.Context, w *world) error {
	if wrong := r.Permit.CheckClientAlone(w.object); len(wrong) > 0 {
		w.block(kube.Problemf(v1alpha1.ReasonInvalidSpec, "%v", wrong.ToAggregate()))
	}
	if err := r.observeKey(ctx, w); err != nil {
		return err
	}
	if w.key != nil {
		if err := r.observePermission(ctx, w); err != nil {
			return err
		}
		r.observeEndpoint(w)
	}
	if err := r.observeSecret(ctx, w); err != nil {
		return err
	}
	if err := r.observeLeftovers(ctx, w); err != nil {
		return err
	}
	w.read = true
	return nil
}

func (r *Reconciler) observeKey(ctx context.Context, w *world) error {
	name := spec.ClientKeyRef(w.object)
	if !r.Operator.Watches(name.Namespace) {
		w.block(kube.Problemf(v1alpha1.ReasonSigningKeyNotFound, "spec.signingKeyRef: the operator does not watch namespace %s "+
			"and knows no SigningKey there: refer to one that it knows, or add the namespace to its --watch-namespaces", name.Namespace))
		return nil
	}
	key := &v1alpha1.SigningKey{}
	if err := r.Client.Get(ctx, name, key); err != nil {
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("read SigningKey: %w", err)
		}
		w.block(kube.Problemf(v1alpha1.ReasonSigningKeyNotFound,
			"spec.signingKeyRef: there is no SigningKey %s: apply it, or correct the reference", name))
		return nil
	}
	w.key = key
	_, err := r.Rings.Latest(ctx, key)
	if errors.Is(err, ringstore.ErrNoRing) {
		w.block(kube.Problemf(v1alpha1.ReasonSigningKeyNotReady,
			"SigningKey %s has no key that signs yet: see its conditions", name))
		return nil
	}
	return err
}

// observePermission asks the key's policy.
func (r *Reconciler) observePermission(ctx context.Context, w *world) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Client.Get(ctx, client.ObjectKey{Name: w.object.Namespace}, namespace); err != nil {
		return fmt.Errorf("read namespace: %w", err)
	}
	refused := r.Permit.CheckClient(w.key, spec.Namespace{Name: namespace.Name, Labels: namespace.Labels}, w.object, r.Clock.Now())
	if len(refused) > 0 {
		w.block(kube.Problemf(v1alpha1.ReasonNotAllowed, "%v", refused.ToAggregate()))
	}
	return nil
}

// observeEndpoint asks what the operator itself has to offer.
func (r *Reconciler) observeEndpoint(w *world) {
	if r.ServesHTTPS {
		w.endpoint = r.Operator.TokenEndpoint(w.key)
	}
	if w.endpoint == "" {
		w.block(kube.Problemf(v1alpha1.ReasonEndpointMissing, "SigningKey %s has no token endpoint: its issuer must be an https URL, its "+
			"namespace must not be verify, which is the gate's path, and the operator must run with --https-bind-address", spec.ClientKeyRef(w.object)))
	}
	if !r.Operator.HasTokenStore && slices.Contains(w.object.Spec.GrantTypes, v1alpha1.GrantRefreshToken) {
		w.block(kube.Problemf(v1alpha1.ReasonTokenStoreMissing, "spec.grantTypes has RefreshToken, and the operator has nowhere to keep "+
			"refresh tokens: run it with --token-store, or take RefreshToken out"))
	}
}

func (r *Reconciler) observeSecret(ctx context.Context, w *world) error {
	name := client.ObjectKey{Namespace: w.object.Namespace, Name: spec.ClientSecretName(w.object)}
	if name.Name == "" {
		return nil
	}
	secret := &corev1.Secret{}
	found, err := kube.Get(ctx, r.Client, r.Live, name, secret)
	if err != nil || !found {
		return err
	}
	if w.keeper = clientsecret.KeeperOf(w.object, secret); w.keeper == clientsecret.Foreign {
		w.retry, w.foreign = true, true
		w.block(kube.Problemf(v1alpha1.ReasonSecretConflict, "Secret %s exists and is not of this TokenClient: delete it, or name another "+
			"in spec.authentication.clientSecret.secretName; one of your own has the type %s and the label %s: %s",
			name.Name, v1alpha1.SecretTypeClientSecret, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy))
		return nil
	}
	if _, _, behind := r.secrets.NewerThan(secret); behind {
		return errCacheFollows
	}
	w.secret, w.content = secret, clientsecret.Read(secret, w.keeper)
	return nil
}

// observeLeftovers finds the Secrets of Keyturn's making that hold a client secret which is valid nowhere any more.
func (r *Reconciler) observeLeftovers(ctx context.Context, w *world) error {
	var secrets corev1.SecretList
	marked := client.MatchingLabels{v1alpha1.LabelTokenClient: w.object.Name}
	if err := r.Client.List(ctx, &secrets, client.InNamespace(w.object.Namespace), marked); err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	for i := range secrets.Items {
		secret := &secrets.Items[i]
		isLeft := secret.Name != spec.ClientSecretName(w.object) && secret.DeletionTimestamp.IsZero()
		if isLeft && metav1.IsControlledBy(secret, w.object) && clientsecret.KeeperOf(w.object, secret) == clientsecret.Keyturn {
			w.leftovers = append(w.leftovers, *secret)
		}
	}
	return nil
}
