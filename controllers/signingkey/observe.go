package signingkey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// world is what is known of one SigningKey while it is reconciled.
type world struct {
	key    *v1alpha1.SigningKey
	issuer string
	policy rotation.Policy

	// secret is the ring Secret as it was read or written last; nil if there is none.
	secret *corev1.Secret
	ring   keyring.Keyring
	// lost says why the ring was not in the Secret although keys were published; empty if it was.
	lost string
	// recovered says that what makes up for a lost ring was stored in this pass.
	recovered bool

	// targets are the namespaces that shall hold a copy; copies are those that exist, by namespace.
	targets []string
	// unwatched are namespaces that the spec selects and the operator does not work in.
	unwatched []string
	copies    map[string]*corev1.ConfigMap
	// stray are our ConfigMaps that shall not exist.
	stray []*corev1.ConfigMap
	// blocked says, by namespace, why a copy could not be written.
	blocked map[string]string

	outcome     rotation.Outcome
	transitions []rotation.Transition
}

// observe gathers what the decision needs. It returns a Problem where the user must act before there can be a ring.
func (r *Reconciler) observe(ctx context.Context, key *v1alpha1.SigningKey) (*world, error) {
	w := &world{key: key, policy: r.Operator.Policy(key), copies: map[string]*corev1.ConfigMap{}, blocked: map[string]string{}}
	var err error
	if w.issuer, err = r.Operator.Issuer(key); err != nil {
		return w, kube.Problemf(v1alpha1.ReasonIssuerMissing, "%v", err)
	}
	if err := r.checkClaim(ctx, key); err != nil {
		return w, err
	}
	if err := r.observeCopies(ctx, w); err != nil {
		return w, err
	}
	return w, r.observeRing(ctx, w)
}

// checkClaim refuses an issuer that an older SigningKey claims.
func (r *Reconciler) checkClaim(ctx context.Context, key *v1alpha1.SigningKey) error {
	others, err := r.claimants(ctx, key)
	if err != nil {
		return err
	}
	for i := range others {
		if spec.Older(&others[i], key) {
			return kube.Problemf(v1alpha1.ReasonIssuerConflict,
				"SigningKey %s/%s is older and claims the same issuer: create this one anew with another spec.issuer, or delete that one",
				others[i].Namespace, others[i].Name)
		}
	}
	return nil
}

// claimants are the other SigningKeys with the same issuer.
func (r *Reconciler) claimants(ctx context.Context, key *v1alpha1.SigningKey) ([]v1alpha1.SigningKey, error) {
	issuer, err := r.Operator.Issuer(key)
	if errors.Is(err, spec.ErrIssuerMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read issuer: %w", err)
	}
	var same v1alpha1.SigningKeyList
	if err := r.Client.List(ctx, &same, client.MatchingFields{spec.IndexIssuer: issuer}); err != nil {
		return nil, fmt.Errorf("list SigningKeys of an issuer: %w", err)
	}
	return slices.DeleteFunc(same.Items, func(other v1alpha1.SigningKey) bool { return other.UID == key.UID }), nil
}

func (r *Reconciler) observeCopies(ctx context.Context, w *world) error {
	if err := r.observeTargets(ctx, w); err != nil {
		return err
	}
	var list corev1.ConfigMapList
	if err := r.Client.List(ctx, &list, copiesOf(client.ObjectKeyFromObject(w.key))); err != nil {
		return fmt.Errorf("list JWKS ConfigMaps: %w", err)
	}
	for i := range list.Items {
		cm := &list.Items[i]
		switch {
		case cm.Name == spec.JWKSName(w.key) && slices.Contains(w.targets, cm.Namespace):
			w.copies[cm.Namespace] = cm
		case isCopy(cm):
			w.stray = append(w.stray, cm)
		}
	}
	return nil
}

func (r *Reconciler) observeTargets(ctx context.Context, w *world) error {
	w.targets = []string{w.key.Namespace}
	if w.key.Spec.JWKS.Namespaces == nil {
		return nil
	}
	var namespaces metav1.PartialObjectMetadataList
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := r.Client.List(ctx, &namespaces); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	for _, ns := range namespaces.Items {
		chosen, err := spec.Selects(w.key.Spec.JWKS.Namespaces, spec.Namespace{Name: ns.Name, Labels: ns.Labels})
		if err != nil {
			return kube.Problemf(v1alpha1.ReasonInvalidPolicy, "spec.jwks.namespaces: %v", err)
		}
		switch {
		case !chosen || !ns.DeletionTimestamp.IsZero() || ns.Name == w.key.Namespace:
		case r.Operator.Watches(ns.Name):
			w.targets = append(w.targets, ns.Name)
		default:
			w.unwatched = append(w.unwatched, ns.Name)
		}
	}
	slices.Sort(w.targets[1:])
	slices.Sort(w.unwatched)
	return nil
}

// observeRing reads the ring. A ring that is lost, unreadable or older than what was published is made up for from the
// published keys, but only after the API server itself has said so: a cache may lag.
func (r *Reconciler) observeRing(ctx context.Context, w *world) error {
	if err := r.readRing(ctx, r.Client, w); err != nil {
		return err
	}
	if w.hasRing() && w.ring.Ring().Generation >= w.newestCopy() {
		return nil
	}
	if err := r.readRing(ctx, r.Live, w); err != nil {
		return err
	}
	if w.hasRing() {
		return nil
	}
	return r.recoverRing(ctx, w)
}

// hasRing says whether the ring was read and is not older than the one that the status, which only the operator writes,
// speaks of.
func (w *world) hasRing() bool {
	return w.secret != nil && w.lost == "" && w.ring.Ring().Generation >= w.key.Status.RingGeneration
}

func (r *Reconciler) readRing(ctx context.Context, reader client.Reader, w *world) error {
	name := client.ObjectKey{Namespace: w.key.Namespace, Name: spec.RingSecretName(w.key)}
	secret := &corev1.Secret{}
	found, err := kube.Get(ctx, reader, r.Live, name, secret)
	if err != nil {
		return err
	}
	w.secret, w.ring, w.lost = nil, keyring.Keyring{}, ""
	if !found {
		return nil
	}
	if !kube.Owns(w.key, kind, secret) || secret.Type != v1alpha1.SecretTypeSigningKey {
		return &foreignError{kube.Problemf(v1alpha1.ReasonSecretConflict,
			"Secret %s exists and does not belong to this SigningKey: delete it, or name another in spec.secretName", name.Name)}
	}
	w.secret = secret
	if w.ring, err = keyring.Decode(secret.Data); err != nil {
		w.lost = err.Error()
	}
	return nil
}

// newestCopy is the newest ring that a copy says it was made from. Whoever may write a ConfigMap can make it say so.
func (w *world) newestCopy() int64 {
	var newest int64
	for cm := range maps.Values(w.copies) {
		newest = max(newest, generationOf(cm))
	}
	return newest
}

// foreignError is a Problem caused by an object that is not ours.
type foreignError struct{ *kube.ProblemError }

func (e *foreignError) Unwrap() error { return e.ProblemError }

func isForeign(err error) bool {
	var foreign *foreignError
	return errors.As(err, &foreign)
}

func isProblem(err error) bool {
	var problem *kube.ProblemError
	return errors.As(err, &problem)
}
