package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	domain "github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// isCredential says whether admission judges a Secret.
func isCredential(secret *corev1.Secret) bool {
	_, labelled := secret.Labels[v1alpha1.LabelToken]
	return labelled || secret.Type == v1alpha1.SecretTypeToken
}

// faultKind is what kind of thing is wrong with a credential.
type faultKind int

const (
	absent faultKind = iota + 1
	malformed
	expired
	revoked
	unverifiable
)

// String names the kind in metrics.
func (k faultKind) String() string { return faultKinds()[k-1] }

func faultKinds() []string {
	return []string{"Absent", "Malformed", "Expired", "Revoked", "Unverifiable"}
}

// fault is what is wrong with a credential. The text goes on from "the token" and quotes nothing of it but its expiry and
// the ID of its key.
type fault struct {
	kind faultKind
	text string
}

// judge says what is wrong with a compact token, or returns nil. A token of an issuer that no SigningKey claims only has
// to be a JWT that has not expired: who else signs tokens is not ours to know.
func (w *world) judge(ctx context.Context, compact string) (*fault, error) {
	started := w.Clock.Now()
	wrong, err := w.examine(ctx, compact)
	verificationDuration.WithLabelValues(resultOf(wrong, err)).Observe(w.Clock.Since(started).Seconds())
	return wrong, err
}

func (w *world) examine(ctx context.Context, compact string) (*fault, error) {
	claims, err := readUnverified(compact)
	if err != nil {
		return &fault{malformed, fmt.Sprintf("is not a JSON Web Token (RFC 7519): %v", err)}, nil
	}
	key, err := w.owner(ctx, claims.issuer)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return w.judgeExpiry(claims.expiry), nil
	}
	says, err := jose.Parse(compact)
	if err != nil {
		return &fault{malformed, fmt.Sprintf("has the issuer of SigningKey %s/%s and cannot be from it: %v", key.Namespace, key.Name, err)}, nil
	}
	keys, err := w.keysOf(ctx, key)
	switch {
	case err != nil:
		return nil, err
	case keys.IsRevoked(says.KeyID):
		return &fault{revoked, fmt.Sprintf("was signed by key %s of SigningKey %s/%s, which is revoked", says.KeyID, key.Namespace, key.Name)}, nil
	case w.judgeExpiry(says.Expiry) != nil:
		return w.judgeExpiry(says.Expiry), nil
	}
	if wrong, err := w.verify(ctx, compact, key); wrong != nil || err != nil {
		return wrong, err
	}
	return w.judgeRevocation(ctx, says, key)
}

// judgeRevocation asks the deny list about a token that verifies. It does not tell by what it was revoked: whoever may write a Secret
// need not know whom a TokenRevocation names.
func (w *world) judgeRevocation(ctx context.Context, says jose.Token, key *v1alpha1.SigningKey) (*fault, error) {
	list, err := w.DenyLists.Of(ctx, client.ObjectKeyFromObject(key))
	if err != nil {
		return nil, fmt.Errorf("read deny list: %w", err)
	}
	if _, denied := list.Denies(domain.TokenOf(says)); !denied {
		return nil, nil
	}
	return &fault{revoked, fmt.Sprintf("is of SigningKey %s/%s and was revoked by a TokenRevocation", key.Namespace, key.Name)}, nil
}

// owner is the SigningKey that an issuer belongs to: of several that claim it, the oldest. It is nil for a foreign issuer.
func (w *world) owner(ctx context.Context, issuer string) (*v1alpha1.SigningKey, error) {
	claimants, err := w.claimants(ctx, issuer)
	if err != nil || len(claimants) == 0 {
		return nil, err
	}
	oldest := slices.MinFunc(claimants, func(a, b v1alpha1.SigningKey) int {
		if spec.Older(&a, &b) {
			return -1
		}
		return 1
	})
	return &oldest, nil
}

func (w *world) judgeExpiry(expiry time.Time) *fault {
	now := w.Clock.Now()
	if expiry.IsZero() || expiry.After(now) {
		return nil
	}
	return &fault{expired, fmt.Sprintf("expired at %s, %s ago", expiry.UTC().Format(time.RFC3339), duration.HumanDuration(now.Sub(expiry)))}
}

// verify judges by the ring that the cache shows and, before a token is refused, by the one that the API server knows.
func (w *world) verify(ctx context.Context, compact string, key *v1alpha1.SigningKey) (*fault, error) {
	ring, err := w.Rings.Ring(ctx, key)
	wrong, err := verifyBy(ring, err, compact, key)
	if wrong != nil {
		ring, err = w.Rings.Confirmed(ctx, key)
		wrong, err = verifyBy(ring, err, compact, key)
	}
	return wrong, err
}

// verifyBy judges by a ring that was read, or by why it was not.
func verifyBy(ring keyring.Keyring, err error, compact string, key *v1alpha1.SigningKey) (*fault, error) {
	switch {
	case errors.Is(err, ringstore.ErrNoRing):
		return &fault{unverifiable, fmt.Sprintf("has the issuer of SigningKey %s/%s, which has no key yet that could have signed it: wait until the SigningKey is Ready",
			key.Namespace, key.Name)}, nil
	case err != nil:
		return nil, fmt.Errorf("read ring: %w", err)
	}
	if _, err := jose.Verify(compact, ring.Public()); err != nil {
		return &fault{unverifiable, fmt.Sprintf("has the issuer of SigningKey %s/%s, and none of its keys verifies it: %v", key.Namespace, key.Name, err)}, nil
	}
	return nil, nil
}

// isLenient says whether a namespace asks for warnings in the place of refusals, as for the time of a restore.
func (w *world) isLenient(ctx context.Context, name string) (bool, error) {
	namespace, err := w.namespace(ctx, name)
	if err != nil {
		return false, err
	}
	return namespace.Labels[v1alpha1.LabelExpiredCredentials] == lenient, nil
}

// lenient is the value of the label that asks for warnings.
const lenient = "warn"

// advice is what to do about a credential that is refused.
const advice = "put a valid one there, or label the namespace " + v1alpha1.LabelExpiredCredentials + "=" + lenient + " while a backup is restored"
