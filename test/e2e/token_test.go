package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// A Pod that has nothing but the token of its ServiceAccount gets one with claims of its own, and is let in; until its tokens are taken
// back. A Pod of another ServiceAccount gets none.
func podsAskWithNothingButTheirServiceAccount(t *testing.T, c *cluster) {
	const stranger = "stranger"
	namespace := c.newNamespace(t, "e2e-token", nil)
	a := c.newAsking(t, namespace)
	writing := newPolicy(namespace, "writing", "orders:write")
	pod, other := a.newPod(asks, "-other="+gateOf(writing)), a.newPod(stranger)
	c.copyAuthority(t, namespace)
	c.create(t, writing, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: stranger}}, pod, other)
	c.awaitReady(t, writing)
	c.awaitPods(t, pod, other)

	c.mustGrant(t, a, pod)
	c.mustLetIn(t, pod)
	if refusal := c.answered(t, other, "ask", nil); refusal.Status != http.StatusUnauthorized || len(refusal.Claims) > 0 {
		t.Errorf("another ServiceAccount is answered with %d %s, want 401", refusal.Status, refusal.Says)
	}
	c.mustKeepOut(t, pod, url.Values{"bare": {"yes"}}, http.StatusUnauthorized, "Bearer")
	c.mustKeepOut(t, pod, url.Values{"other": {"yes"}}, http.StatusForbidden, `error="insufficient_scope"`, `scope="orders:write"`)
	c.report.saw(t, "a ServiceAccount's token", "gets a Pod one with claims of its own, which lets it in; 401 for another ServiceAccount and without a token, 403 without the scope")

	c.takenBackWithinASecond(t, a, pod)
	c.theTestAsksToo(t, a, pod)
	c.aKeyOfItsOwnProvesAClient(t, a)
}

// mustGrant has a Pod ask for a token, and fails unless it says what the TokenClient has made of its ServiceAccount.
func (c *cluster) mustGrant(t *testing.T, a *asking, pod *corev1.Pod) {
	t.Helper()
	answer := c.answered(t, pod, "ask", nil)
	if answer.Status != http.StatusOK {
		t.Fatalf("a Pod that asks with its ServiceAccount's token is answered with %d %s", answer.Status, answer.Says)
	}
	maps.DeleteFunc(answer.Claims, func(name string, _ any) bool { return name == "iat" || name == "nbf" || name == "exp" || name == "jti" })
	want := map[string]any{
		"iss": a.issuer(), "sub": subject(pod), "aud": []any{audience},
		"client_id": pod.Namespace + "." + a.client.Name, "scope": reading, "pod": pod.Name, "tier": "gold",
	}
	if diff := cmp.Diff(want, answer.Claims); diff != "" {
		t.Errorf("the claims differ (-want +got):\n%s", diff)
	}
}

// subject is that of the tokens of a Pod.
func subject(pod *corev1.Pod) string {
	return "system:serviceaccount:" + pod.Namespace + ":" + pod.Spec.ServiceAccountName
}

// mustLetIn fails unless the gate lets a Pod in, and says who it is.
func (c *cluster) mustLetIn(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := c.letIn(t, pod); err != nil {
		t.Error(err)
	}
}

func (c *cluster) letIn(t *testing.T, pod *corev1.Pod) error {
	t.Helper()
	answer := c.answered(t, pod, "present", nil)
	if answer.Status != http.StatusOK {
		return fmt.Errorf("the gate answers %d %s", answer.Status, answer.Says)
	}
	got := map[string]string{}
	for _, header := range []string{"X-Subject", "X-Pod", "X-Tier"} {
		got[header] = answer.Header.Get(header)
	}
	if diff := cmp.Diff(map[string]string{"X-Subject": subject(pod), "X-Pod": pod.Name, "X-Tier": "gold"}, got); diff != "" {
		return fmt.Errorf("the identity headers differ (-want +got):\n%s", diff)
	}
	return nil
}

// mustKeepOut fails unless the gate answers a Pod with that status, and says why.
func (c *cluster) mustKeepOut(t *testing.T, pod *corev1.Pod, how url.Values, status int, challenge ...string) {
	t.Helper()
	answer := c.answered(t, pod, "present", how)
	if answer.Status != status {
		t.Errorf("the gate answers %v with %d, want %d", how, answer.Status, status)
	}
	if err := refusedFor(errors.New(answer.Header.Get("WWW-Authenticate")), challenge...); err != nil {
		t.Errorf("the challenge to %v: %v", how, err)
	}
}

// A second after `kubectl apply` of a TokenRevocation no replica lets its tokens in any more; a new one is good.
func (c *cluster) takenBackWithinASecond(t *testing.T, a *asking, pod *corev1.Pod) {
	t.Helper()
	const (
		within = time.Second
		watch  = 3 * time.Second // long enough for each replica to be asked many times
	)
	file := filepath.Join(t.TempDir(), "revocation.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `{"apiVersion": %q, "kind": "TokenRevocation",
		"metadata": {"namespace": %q, "name": "stolen"}, "spec": {"signingKeyName": %q, "subject": %q}}`,
		v1alpha1.GroupVersion, pod.Namespace, a.key.Name, subject(pod)), 0o600))
	c.kubectl(t, "apply", "--filename="+file)
	applied := c.clock.Now()
	var accepted time.Duration
	refused := 0
	for asked := applied; asked.Sub(applied) < watch; asked = c.clock.Now() {
		switch answer := c.answered(t, pod, "present", nil); answer.Status {
		case http.StatusOK:
			accepted = asked.Sub(applied)
		case http.StatusUnauthorized:
			refused++
		default:
			t.Errorf("a token that was taken back is answered with %d %s", answer.Status, answer.Says)
		}
	}
	if accepted >= within || refused == 0 {
		t.Errorf("%s after it was taken back a token was let in; it was refused %d times", accepted, refused)
	}
	c.mustKeepOut(t, pod, nil, http.StatusUnauthorized, `error="invalid_token"`)
	c.mustGrant(t, a, pod)
	c.mustLetIn(t, pod)
	revocation := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: "stolen"}}
	c.awaitReady(t, revocation)
	c.report.saw(t, "TokenRevocation", "let in last %s after kubectl apply returned, refused %d times in %s; a token that is asked for then is good",
		accepted.Round(time.Millisecond), refused, watch)
}

// theTestAsksToo has somebody ask whose tokens the search for secrets can know: with the token of that Pod, and with a client secret
// that is rotated and moves to another Secret.
func (c *cluster) theTestAsksToo(t *testing.T, a *asking, pod *corev1.Pod) {
	t.Helper()
	projected, err := c.kube.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(t.Context(), asks, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			Audiences:      []string{a.issuer()},
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	c.secrets.Assertion(projected.Status.Token)
	c.mustBeGranted(t, a.issuer(), url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {projected.Status.Token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	})

	till := newTill(a.key)
	c.create(t, till)
	c.awaitReady(t, till)
	before := get(t, c, till.Namespace, till.Status.SecretName, &corev1.Secret{})
	c.mustBeGranted(t, a.issuer(), withSecret(before, "client_credentials"))
	c.update(t, till, func() {
		till.Annotations = map[string]string{v1alpha1.AnnotationRotateRequestedAt: "now"}
		till.Spec.Authentication.ClientSecret.SecretName = "till-by-another-name"
	})
	eventually(t, "the Secret goes by which no client is proved any more", func() error {
		return gone(c.Get(t.Context(), client.ObjectKeyFromObject(before), &corev1.Secret{}))
	})
	c.awaitReady(t, till)
	c.mustBeGranted(t, a.issuer(), withSecret(get(t, c, till.Namespace, till.Status.SecretName, &corev1.Secret{}), "client_credentials"))
}
