package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// admit asks the webhook of ServiceTokens for its opinion on a good one.
func (c *cluster) admit(ctx context.Context, namespace string, life time.Duration) error {
	token := newToken(namespace, "", "orders", life)
	token.GenerateName = "asked-"
	token.Spec.ServiceAccountName = "asked"
	return c.Create(ctx, token, client.DryRunAll)
}

func (c *cluster) mustAdmit(t *testing.T, namespace string) {
	t.Helper()
	if err := c.admit(t.Context(), namespace, shortToken); err != nil {
		t.Fatalf("a good ServiceToken is refused: %v", err)
	}
}

// mustRefuse fails unless an object is refused for a reason.
func (c *cluster) mustRefuse(t *testing.T, object client.Object, because ...string) {
	t.Helper()
	if err := refusedFor(c.Create(t.Context(), object, client.DryRunAll), because...); err != nil {
		t.Error(err)
	}
}

func refusedFor(err error, because ...string) error {
	if err == nil {
		return fmt.Errorf("it is admitted, want a refusal that says %q", because)
	}
	for _, part := range because {
		if !strings.Contains(err.Error(), part) {
			return fmt.Errorf("the refusal is %q, want it to say %q", err.Error(), part)
		}
	}
	return nil
}

// What is unlawful is refused by the webhooks, called through their Service.
func unlawfulObjectsAreRefused(t *testing.T, c *cluster) {
	namespace := c.newNamespace(t, "e2e-admission", map[string]string{v1alpha1.LabelVerifyPods: "enabled"})
	key := newKey(namespace, "orders", "https://admission.example.com")
	good := newToken(namespace, "good", key.Name, longestToken)
	c.create(t, key, good)
	c.awaitReady(t, key, good)

	expired := newToken(namespace, "expired", key.Name, shortToken)
	expired.Spec.ExpiresAt = &metav1.Time{Time: c.clock.Now().Add(-time.Hour)}
	c.mustRefuse(t, expired, "spec.expiresAt")
	foreign := newToken(namespace, "foreign", key.Name, shortToken)
	foreign.Spec.ServiceAccountName, foreign.Spec.Subject = "", "system:serviceaccount:elsewhere:somebody"
	c.mustRefuse(t, foreign, "spec.subject")
	long := newToken(namespace, "long", key.Name, longestToken+time.Second)
	c.mustRefuse(t, long, "spec.duration")
	impossible := newKey(namespace, "impossible", "https://impossible.example.com")
	impossible.Spec.Rotation.Period = seconds(keep)
	c.mustRefuse(t, impossible, "spec.rotation.period")
	if err := refusedFor(c.Delete(t.Context(), key, client.DryRunAll), "1 ServiceToken"); err != nil {
		t.Errorf("deletion of a key with a live token: %v", err)
	}
	c.report.saw(t, "admission through the Service", "refused: a past expiresAt, a foreign subject, a life over the maximum, an impossible rotation, the deletion of a key in use")

	c.podsWithExpiredTokensAreRefused(t, namespace, key.Name)
}

// A token that somebody has copied into a Secret of their own is good until it expires.
func (c *cluster) podsWithExpiredTokensAreRefused(t *testing.T, namespace, key string) {
	t.Helper()
	const life = 5 * time.Second
	source := newToken(namespace, "brief", key, life)
	c.create(t, source)
	c.awaitReady(t, source)
	issued := get(t, c, namespace, source.Name, &corev1.Secret{})
	kept := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "kept"}, Type: v1alpha1.SecretTypeToken,
		Data: map[string][]byte{v1alpha1.SecretKeyToken: issued.Data[v1alpha1.SecretKeyToken]},
	}
	c.create(t, kept)
	mounts := func(secret string) *corev1.Pod {
		return newPod(namespace, "mounts-"+secret, []string{"present"}, mountSecret("/run/token", secret))
	}
	eventually(t, "a pod that mounts an expired token is refused", func() error {
		return refusedFor(c.Create(t.Context(), mounts(kept.Name), client.DryRunAll), "spec.volumes[0].secret.secretName", "the token in Secret kept expired")
	})
	if err := c.Create(t.Context(), mounts("good"), client.DryRunAll); err != nil {
		t.Errorf("a pod that mounts a good token is refused: %v", err)
	}
	kept.Name, kept.ResourceVersion, kept.UID = "again", "", ""
	c.mustRefuse(t, kept, "expired")
	c.report.saw(t, "expired tokens", "refused: a pod that mounts one, by the Secret's name, and a Secret that holds one")
}

// Nothing but what Pod Security "restricted" allows runs beside the operator.
func podSecurityIsRestricted(t *testing.T, c *cluster) {
	pod := newPod(operatorNamespace, "root", []string{"present"})
	pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsNonRoot = new(int64(0)), new(false)
	c.mustRefuse(t, pod, `violates PodSecurity "restricted`)
	c.report.saw(t, "Pod Security", "restricted is enforced in %s, and the operator runs there", operatorNamespace)
}
