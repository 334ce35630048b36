package tokenrevocation

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/spec"
)

// world is what is known of one deny list while it is reconciled.
type world struct {
	name types.NamespacedName
	// key is nil if there is no such SigningKey.
	key    *v1alpha1.SigningKey
	issuer string
	// parts are what the list is made from.
	parts denylist.Gathered
	// list is the ConfigMap; nil if there is none.
	list *corev1.ConfigMap

	plan plan
	// problem is what keeps all of the TokenRevocations from being Ready; nil if nothing does.
	problem *kube.ProblemError
	// untold are the TokenRevocations, by UID, of which the store of refresh tokens must still hear, and why it has not.
	untold map[types.UID]error
	// retry says that something is in the way that no cache tells of.
	retry bool
}

func (r *Reconciler) observe(ctx context.Context, name types.NamespacedName) (*world, error) {
	w := &world{name: name, untold: map[types.UID]error{}}
	key := &v1alpha1.SigningKey{}
	err := r.Client.Get(ctx, name, key)
	switch {
	case apierrors.IsNotFound(err):
		return w, r.observeOrphans(ctx, w)
	case err != nil:
		return w, fmt.Errorf("read SigningKey: %w", err)
	}
	w.key = key
	if w.parts, err = r.cached().Gather(ctx, key); err != nil {
		return w, err
	}
	if w.issuer, err = r.Operator.Issuer(key); err != nil {
		w.problem = kube.Problemf(v1alpha1.ReasonIssuerMissing, "SigningKey %s: %v", name, err)
		return w, nil
	}
	if err := r.observeList(ctx, w); err != nil {
		return w, err
	}
	w.plan, err = decide(w.issuer, w.parts, r.Clock.Now())
	return w, err
}

// cached is where the parts of a list are read in the first place.
func (r *Reconciler) cached() denylist.Source {
	return denylist.Source{Reader: r.Client, Indexed: true, Ring: r.Rings.Ring, Operator: r.Operator}
}

// observeOrphans gathers the TokenRevocations of a SigningKey that is not there.
func (r *Reconciler) observeOrphans(ctx context.Context, w *world) error {
	w.problem = kube.Problemf(v1alpha1.ReasonSigningKeyNotFound,
		"spec.signingKeyName: there is no SigningKey %s: apply it, or delete this TokenRevocation and create it with another name", w.name)
	revocations, err := r.cached().Revocations(ctx, w.name)
	for _, object := range revocations {
		w.parts.Revocations = append(w.parts.Revocations, denylist.Revoked{Object: object, Entry: spec.Revocation(object, 0)})
	}
	return err
}

// observeList reads the ConfigMap. What is in its place and is not ours is a problem.
func (r *Reconciler) observeList(ctx context.Context, w *world) error {
	list, name := &corev1.ConfigMap{}, spec.DenyListName(w.name)
	found, err := kube.Get(ctx, r.Client, r.Live, name, list)
	_, isJWKS := list.Data[v1alpha1.ConfigMapKeyJWKS]
	switch {
	case err != nil:
		return err
	case spec.JWKSName(w.key) == name.Name:
		w.problem = conflict("ConfigMap %s is the JWKS of the SigningKey by its spec.jwks.name: name another there", name.Name)
	case found && (isJWKS || !kube.Owns(w.key, ownerKind, list)):
		w.problem, w.retry = conflict("ConfigMap %s exists and does not belong to the SigningKey: delete it", name.Name), true
	case found:
		w.list = list
	}
	return nil
}

func conflict(format, name string) *kube.ProblemError {
	return kube.Problemf(v1alpha1.ReasonConfigMapConflict,
		format+"; what asks no ConfigMap, such as the gate, introspection and admission, refuses the tokens all the same", name)
}
