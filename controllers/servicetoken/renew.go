package servicetoken

import (
	"cmp"
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// renew observes, decides and acts.
func (r *Reconciler) renew(ctx context.Context, t *v1alpha1.ServiceToken) (*world, error) {
	w, err := r.observe(ctx, t)
	if err != nil {
		return r.withdrawIfEnded(ctx, w, err)
	}
	now := r.Clock.Now()
	decision := token.Judge(w.request, cmp.Or(w.says, w.orphan), w.keys(), now)
	switch {
	case decision.Action == token.Withdraw:
		return w, r.withdraw(ctx, w)
	case w.refused != nil:
		// What is in the Secret stays: it was lawful when it was issued.
		return r.withdrawIfEnded(ctx, w, w.refused)
	case decision.Action == token.Issue:
		return w, r.issue(ctx, w, decision.Cause, now)
	default:
		w.next = decision.Next
		return w, r.keep(ctx, w)
	}
}

// withdrawIfEnded lets a request end although its key is gone.
func (r *Reconciler) withdrawIfEnded(ctx context.Context, w *world, problem error) (*world, error) {
	ends := w.object.Spec.ExpiresAt
	if ends == nil || w.secret == nil {
		return w, problem
	}
	if r.Clock.Now().Before(ends.Time) {
		w.next = ends.Time
		return w, problem
	}
	return w, r.withdraw(ctx, w)
}

// errRingFollows says that the spec of the SigningKey has changed and its ring not yet: its Secret tells when it has.
var errRingFollows = errors.New("the ring does not follow the spec yet")

// errTooEarly says that a token that is issued in this second would be revoked: the next one is awaited.
var errTooEarly = errors.New("a token issued now would be revoked")

// shortWait is what is not worth a word in the status: a second, and another by which the API server's clock may be ahead.
const shortWait = 2 * time.Second

// issue signs a token with a ring that the API server has confirmed a short while ago.
func (r *Reconciler) issue(ctx context.Context, w *world, cause token.Cause, now time.Time) error {
	ring, err := r.Rings.Fresh(ctx, w.key)
	if errors.Is(err, ringstore.ErrNoRing) {
		return notReady(w.key)
	}
	if err != nil {
		return err
	}
	w.ring = ring
	terms, err := token.Lawful(w.request, w.keys(), now)
	if refused := new(token.NotLawfulError); errors.As(err, &refused) && !refused.NotBefore.IsZero() {
		w.next = refused.NotBefore
		if refused.NotBefore.Sub(now) <= shortWait {
			return errTooEarly
		}
	}
	if err != nil && w.key.Status.ObservedGeneration < w.key.Generation {
		return errRingFollows
	}
	if err != nil {
		return kube.Problemf(v1alpha1.ReasonSigningKeyNotReady, "SigningKey %s/%s: %v",
			w.key.Namespace, w.key.Name, err)
	}
	reason, wanted := w.wanted(cause)
	if err := r.sign(w, terms); err != nil {
		return err
	}
	if err := r.writeSecret(ctx, w); err != nil {
		if apierrors.IsAlreadyExists(err) {
			r.taken.Store(w.object.UID, true)
		}
		return err
	}
	r.countIssue(reason, wanted, now)
	w.cause = cause
	w.next = w.request.RenewalTime(terms.IssuedAt, terms.Expiry)
	return nil
}

func (w *world) keys() token.Keys {
	return token.Keys{Ring: w.ring.Ring(), Revoked: spec.RevokedKeyIDs(w.key), Denied: w.denied}
}

func (r *Reconciler) sign(w *world, terms token.Terms) error {
	payload, err := token.Encode(w.request.Payload(string(uuid.NewUUID()), terms.IssuedAt))
	if err != nil {
		return err
	}
	signer, _ := w.ring.Signer()
	started := r.Clock.Now()
	compact, err := jose.Sign(signer, w.request.Type, payload)
	if err != nil {
		return err
	}
	signatureDuration.WithLabelValues(string(signer.Algorithm())).Observe(r.Clock.Since(started).Seconds())
	says, err := jose.Parse(compact.Reveal())
	if err != nil {
		return err
	}
	w.compact, w.says = &compact, &says
	return nil
}

// keep brings the Secret's derived entries up to date around a token that is good.
func (r *Reconciler) keep(ctx context.Context, w *world) error {
	want, err := w.desiredSecret()
	if err != nil {
		return err
	}
	if w.secretUpToDate(want) {
		return nil
	}
	return r.writeSecret(ctx, w)
}

// withdraw empties the Secret: pods that mount it keep running, and find no token.
func (r *Reconciler) withdraw(ctx context.Context, w *world) error {
	w.says, w.compact = nil, nil
	if w.secret != nil && len(w.secret.Data) > 0 {
		if err := r.writeSecret(ctx, w); err != nil {
			return err
		}
		w.withdrawn, w.read = true, true
		withdrawn.Inc()
	}
	return kube.Problemf(v1alpha1.ReasonExpired, "spec.expiresAt %s has passed and the token was withdrawn: move it, or delete the ServiceToken",
		w.object.Spec.ExpiresAt.UTC().Format(time.RFC3339))
}
