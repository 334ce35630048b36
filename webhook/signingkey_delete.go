package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// ValidateDelete refuses to let a SigningKey go while tokens that it signed are live: no verifier would accept them any
// more. Whoever says so by annotation may do it, and the end of a namespace waits for nothing.
func (h *signingKeys) ValidateDelete(ctx context.Context, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	if key.Annotations[v1alpha1.AnnotationForceDelete] == "true" || !key.DeletionTimestamp.IsZero() || isCleaner(ctx) {
		return nil, nil
	}
	if err := h.refuseWhileLive(ctx, key); err != nil {
		return nil, err
	}
	return h.warnOfUsers(ctx, key)
}

func (h *signingKeys) refuseWhileLive(ctx context.Context, key *v1alpha1.SigningKey) error {
	live, err := h.liveTokens(ctx, key)
	if err != nil || len(live) == 0 {
		return err
	}
	if ending, err := h.isEnding(ctx, key.Namespace); err != nil || ending {
		return err
	}
	// The cache may not have heard yet that ServiceTokens are gone.
	if err := h.keepThoseThatAreThere(ctx, key, live); err != nil || len(live) == 0 {
		return err
	}
	names := slices.Collect(maps.Keys(live))
	last := slices.MaxFunc(slices.Collect(maps.Values(live)), time.Time.Compare)
	forbidden := apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("signingkeys").GroupResource(), key.Name, fmt.Errorf(
		"%s a live token that nobody could verify any more (%s), the last until %s: delete what uses them or wait, or annotate the SigningKey with %s=true",
		count(len(live), "ServiceToken holds", "ServiceTokens hold"), some(names), last.UTC().Format(time.RFC3339), v1alpha1.AnnotationForceDelete))
	return &refusal{error: forbidden, reason: reasonTokenAlive}
}

// warnOfUsers names what stops to work with a SigningKey. It is no refusal: the access tokens that clients have are written down nowhere.
func (h *signingKeys) warnOfUsers(ctx context.Context, key *v1alpha1.SigningKey) (admission.Warnings, error) {
	clients, err := h.clients(ctx, key)
	if err != nil {
		return nil, err
	}
	policies, err := h.policies(ctx, key)
	if err != nil {
		return nil, err
	}
	var warnings admission.Warnings
	if len(clients) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s no token any more, and the access tokens that are out cannot be verified: %s",
			count(len(clients), "TokenClient gets", "TokenClients get"), some(namesOf(clients))))
	}
	if len(policies) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s nobody in any more by tokens of this SigningKey: %s",
			count(len(policies), "TokenPolicy lets", "TokenPolicies let"), some(namesOf(policies))))
	}
	return warnings, nil
}

// isCleaner says whether the request comes from a controller that removes what nobody wants any more.
func isCleaner(ctx context.Context) bool {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return false
	}
	return slices.Contains([]string{
		"system:serviceaccount:kube-system:namespace-controller",
		"system:serviceaccount:kube-system:generic-garbage-collector",
		"system:kube-controller-manager", // where controllers share one account
	}, request.UserInfo.Username)
}

// isEnding says whether a namespace is being deleted, by the API server's own word if the cache says no.
func (w *world) isEnding(ctx context.Context, name string) (bool, error) {
	for _, reader := range []client.Reader{w.Reader, w.APIReader} {
		namespace := emptyNamespace()
		err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("read namespace %s: %w", name, err)
		}
		if err == nil && !namespace.DeletionTimestamp.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

// liveTokens are the ServiceTokens whose Secret holds an unexpired token of a key, by name, and when that token expires.
// It reads the Secrets themselves: a status can be behind.
func (h *signingKeys) liveTokens(ctx context.Context, key *v1alpha1.SigningKey) (map[string]time.Time, error) {
	live := map[string]time.Time{}
	issuer, err := h.Operator.Issuer(key)
	if errors.Is(err, spec.ErrIssuerMissing) {
		return live, nil // Without an issuer it has signed nothing.
	}
	keys, err := h.keysOf(ctx, key)
	if err != nil {
		return nil, err
	}
	tokens, err := h.dependents(ctx, key)
	if err != nil {
		return nil, err
	}
	for i := range tokens {
		held, err := h.held(ctx, &tokens[i])
		if err != nil {
			return nil, err
		}
		if held.Issuer == issuer && !keys.IsRevoked(held.KeyID) && held.Expiry.After(h.Clock.Now()) {
			live[client.ObjectKeyFromObject(&tokens[i]).String()] = held.Expiry
		}
	}
	return live, nil
}

// keysOf is what is known of a SigningKey's keys. Where its ring is lost, it knows only what the spec revokes.
func (w *world) keysOf(ctx context.Context, key *v1alpha1.SigningKey) (token.Keys, error) {
	keys := token.Keys{Revoked: spec.RevokedKeyIDs(key)}
	ring, err := w.Rings.Ring(ctx, key)
	if err != nil && !errors.Is(err, ringstore.ErrNoRing) {
		return keys, fmt.Errorf("read ring: %w", err)
	}
	keys.Ring = ring.Ring()
	return keys, nil
}

// held is the token in a ServiceToken's Secret. What cannot be read is no token that a key has signed: the zero value.
func (h *signingKeys) held(ctx context.Context, t *v1alpha1.ServiceToken) (jose.Token, error) {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: t.Namespace, Name: spec.TokenSecretName(t)}
	if err := h.Reader.Get(ctx, name, secret); client.IgnoreNotFound(err) != nil {
		return jose.Token{}, fmt.Errorf("read Secret %s: %w", name, err)
	}
	says, err := jose.Parse(string(secret.Data[v1alpha1.SecretKeyToken]))
	if err != nil {
		says = jose.Token{}
	}
	return says, nil
}

// keepThoseThatAreThere removes the ServiceTokens that the API server itself does not know, or that are about to go. Those of a
// watched namespace that may not be read count as they were read last: the cache says so of all that is in it.
func (h *signingKeys) keepThoseThatAreThere(ctx context.Context, key *v1alpha1.SigningKey, live map[string]time.Time) error {
	there := map[string]bool{}
	for _, namespace := range h.Operator.Scopes() {
		err := h.eachServiceToken(ctx, namespace, func(t *v1alpha1.ServiceToken) {
			there[client.ObjectKeyFromObject(t).String()] = t.DeletionTimestamp.IsZero() && spec.KeyRef(t) == client.ObjectKeyFromObject(key)
		})
		switch {
		case apierrors.IsForbidden(err) && namespace != metav1.NamespaceAll:
			for name := range live {
				there[name] = there[name] || strings.HasPrefix(name, namespace+"/")
			}
		case err != nil:
			return err
		}
	}
	maps.DeleteFunc(live, func(name string, _ time.Time) bool { return !there[name] })
	return nil
}

// eachServiceToken visits all ServiceTokens that the API server knows in a namespace.
func (h *signingKeys) eachServiceToken(ctx context.Context, namespace string, visit func(*v1alpha1.ServiceToken)) error {
	for from := ""; ; {
		var page v1alpha1.ServiceTokenList
		if err := h.APIReader.List(ctx, &page, client.InNamespace(namespace), client.Limit(500), client.Continue(from)); err != nil {
			return fmt.Errorf("list ServiceTokens: %w", err)
		}
		for i := range page.Items {
			visit(&page.Items[i])
		}
		if from = page.Continue; from == "" {
			return nil
		}
	}
}
