package servicetoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// world is what is known of one ServiceToken while it is reconciled.
type world struct {
	object *v1alpha1.ServiceToken
	key    *v1alpha1.SigningKey
	ring   keyring.Keyring
	denied *denylist.List

	// secret is the output Secret; nil if there is none.
	secret *corev1.Secret
	// compact is the token that the Secret shall hold, and says is what it says; nil if there is none that verifies.
	compact *jose.Compact
	says    *jose.Token
	// read says that it is known whether there is one; otherwise the status keeps what it says.
	read bool
	// orphan is what the Secret's token says of itself if its key is not in the ring; nil otherwise. It is believed only so far
	// as to tell why it must go.
	orphan *jose.Token

	request token.Request
	// refused is why the key's policy refuses the token; nil if it does not.
	refused error

	// cause is why a token was issued in this pass; empty if none was.
	cause token.Cause
	// withdrawn says that a token was taken away in this pass.
	withdrawn bool
	next      time.Time
	// retry says that something is in the way that no cache tells of.
	retry bool
}

// errCacheFollows says that the cache does not show yet what this controller has written.
var errCacheFollows = errors.New("the cache does not show the last write yet")

// observe gathers what the decision needs. It returns a Problem where something must change first.
func (r *Reconciler) observe(ctx context.Context, t *v1alpha1.ServiceToken) (*world, error) {
	w := &world{object: t}
	if err := r.observeSecret(ctx, w); err != nil {
		return w, err
	}
	if err := r.observeKey(ctx, w); err != nil {
		return w, err
	}
	w.readToken()
	return w, r.observeRequest(ctx, w)
}

func (r *Reconciler) observeSecret(ctx context.Context, w *world) error {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: w.object.Namespace, Name: spec.TokenSecretName(w.object)}
	live := r.Live
	if r.isNew(w.object) {
		live = r.Client
	}
	found, err := kube.Get(ctx, r.Client, live, name, secret)
	if err != nil || !found {
		w.read = err == nil
		return err
	}
	if !kube.Owns(w.object, kind, secret) || secret.Type != v1alpha1.SecretTypeToken {
		w.retry = true
		return kube.Problemf(v1alpha1.ReasonSecretConflict,
			"Secret %s exists and does not belong to this ServiceToken: delete it, or name another in spec.secretName", name.Name)
	}
	if _, _, behind := r.secrets.NewerThan(secret); behind {
		return errCacheFollows
	}
	w.secret = secret
	return nil
}

// isNew says whether a ServiceToken is as somebody has created it, so that there will be no Secret that the cache does not show, and the
// API server need not be asked. One that is there all the same keeps another from being created, and is looked at from then on. Where a
// request ends there can be one to empty.
func (r *Reconciler) isNew(t *v1alpha1.ServiceToken) bool {
	_, taken := r.taken.Load(t.UID)
	return !taken && t.Spec.ExpiresAt == nil && t.Status.TokenID == "" && len(t.Status.Conditions) == 0
}

func (r *Reconciler) observeKey(ctx context.Context, w *world) error {
	name := spec.KeyRef(w.object)
	if !r.Operator.Watches(name.Namespace) {
		return kube.Problemf(v1alpha1.ReasonSigningKeyNotFound, "spec.signingKeyRef: the operator does not watch namespace %s "+
			"and knows no SigningKey there: refer to one that it knows, or add the namespace to its --watch-namespaces", name.Namespace)
	}
	key := &v1alpha1.SigningKey{}
	if err := r.Client.Get(ctx, name, key); err != nil {
		if apierrors.IsNotFound(err) {
			return kube.Problemf(v1alpha1.ReasonSigningKeyNotFound,
				"spec.signingKeyRef: there is no SigningKey %s: apply it, or correct the reference", name)
		}
		return fmt.Errorf("read SigningKey: %w", err)
	}
	w.key = key
	denied, err := r.DenyLists.Of(ctx, name)
	if err != nil {
		return fmt.Errorf("read deny list: %w", err)
	}
	w.denied = denied
	ring, err := r.Rings.Latest(ctx, key)
	if errors.Is(err, ringstore.ErrNoRing) {
		return notReady(key)
	}
	w.ring = ring
	return err
}

func notReady(key *v1alpha1.SigningKey) error {
	return kube.Problemf(v1alpha1.ReasonSigningKeyNotReady,
		"SigningKey %s/%s has no key that signs yet: see its conditions", key.Namespace, key.Name)
}

// observeRequest asks the key's policy. What the policy refuses is no problem yet: a token that has ended is withdrawn
// all the same.
func (r *Reconciler) observeRequest(ctx context.Context, w *world) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Client.Get(ctx, client.ObjectKey{Name: w.object.Namespace}, namespace); err != nil {
		return fmt.Errorf("read namespace: %w", err)
	}
	request, refusals := r.Permit.Check(w.key, spec.Namespace{Name: namespace.Name, Labels: namespace.Labels}, w.object, r.Clock.Now())
	w.request = request
	if len(refusals) > 0 {
		w.refused = kube.Problemf(v1alpha1.ReasonNotAllowed, "%v", refusals.ToAggregate())
	}
	return nil
}

// readToken reads the token at hand; what does not verify with the ring counts as none.
func (w *world) readToken() {
	w.read = true
	if w.secret == nil {
		return
	}
	compact := jose.NewCompact(string(w.secret.Data[v1alpha1.SecretKeyToken]))
	says, err := jose.Verify(compact.Reveal(), w.ring.Public())
	if err == nil {
		w.compact, w.says = &compact, &says
		return
	}
	says, err = jose.Parse(compact.Reveal())
	if _, known := w.ring.Ring().Key(says.KeyID); err == nil && !known {
		w.orphan = &says
	}
}
