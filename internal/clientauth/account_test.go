package clientauth_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/jose"
)

// cluster is a namespace of a real API server with a client of ServiceAccounts.
type cluster struct {
	*world
	ns    string
	calls *calls
}

// calls counts the reviews that are asked for. While held is not nil they wait until it is closed.
type calls struct {
	client.WithWatch
	reviews atomic.Int32
	held    chan struct{}
}

func (c *calls) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if _, ok := object.(*authenticationv1.TokenReview); ok {
		c.reviews.Add(1)
		if c.held != nil {
			<-c.held
		}
	}
	return c.WithWatch.Create(ctx, object, options...)
}

// join makes the client cart of a namespace, which has the ServiceAccounts cart and till.
func join(t *testing.T, accounts v1alpha1.ServiceAccountAuthentication) *cluster {
	t.Helper()
	direct, err := client.NewWithWatch(suite.Config(t), client.Options{Scheme: suite.Client(t).Scheme()})
	must(t, err)
	counted := &calls{WithWatch: direct}
	c := &cluster{world: beginWith(t, counted, nil), ns: suite.Namespace(t, nil), calls: counted}
	c.account(c.ns, "cart", map[string]string{"team": "shop"})
	c.account(c.ns, "till", nil)
	object := tokenClient(v1alpha1.ClientAuthentication{ServiceAccounts: &accounts})
	object.Namespace, object.UID = c.ns, ""
	object.Spec.Audiences = []v1alpha1.Audience{"https://api.example"}
	object.Spec.SigningKeyRef.Namespace = "shop"
	must(t, c.c.Create(t.Context(), object))
	return c
}

func named(names ...v1alpha1.ServiceAccountName) v1alpha1.ServiceAccountAuthentication {
	return v1alpha1.ServiceAccountAuthentication{Names: names}
}

func (c *cluster) account(ns, name string, labels map[string]string) *corev1.ServiceAccount {
	c.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels}}
	must(c.t, c.c.Create(c.t.Context(), account))
	return account
}

// token asks the API server for a token of a ServiceAccount, for a Pod if there is one.
func (c *cluster) token(ns, name string, pod *corev1.Pod, audiences ...string) string {
	c.t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if pod != nil {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	must(c.t, c.c.SubResource("token").Create(c.t.Context(), account, request))
	return request.Status.Token
}

func (c *cluster) pod(name, account string) *corev1.Pod {
	c.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: name},
		Spec:       corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "c", Image: "busybox"}}},
	}
	must(c.t, c.c.Create(c.t.Context(), pod))
	return pod
}

func (c *cluster) try(token string) (clientauth.Proof, error) {
	return c.attempt(clientauth.Attempt{ClientID: c.ns + ".cart", Assertion: jose.NewCompact(token)})
}

func TestAPodProvesItselfByTheTokenOfItsServiceAccount(t *testing.T) {
	c := join(t, named("cart"))
	pod := c.pod("cart-1", "cart")
	proof, err := c.try(c.token(c.ns, "cart", pod, issuer))
	must(t, err)
	want := &clientauth.Account{
		Namespace: c.ns, Name: "cart", Labels: map[string]string{"team": "shop"}, PodName: "cart-1", PodUID: string(pod.UID),
		UID: proof.Account.UID, Expiry: proof.Account.Expiry,
	}
	if diff := cmp.Diff(want, proof.Account); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if proof.Method != clientauth.ServiceAccount || proof.Account.UID == "" || proof.Account.Expiry.IsZero() {
		t.Errorf("the proof is %+v of %+v", proof, proof.Account)
	}
}

func TestServiceAccountsThatTheClientIs(t *testing.T) {
	team := func(value string) v1alpha1.ServiceAccountAuthentication {
		return v1alpha1.ServiceAccountAuthentication{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": value}}}
	}
	for sentence, c := range map[string]struct {
		accounts v1alpha1.ServiceAccountAuthentication
		account  string
		refusal  string
	}{
		"one that is named":             {named("till", "cart"), "cart", ""},
		"one that is not named":         {named("till"), "cart", "is not one of the client's"},
		"one with the labels":           {team("shop"), "cart", ""},
		"one with other labels":         {team("bank"), "cart", "has not the labels"},
		"one without labels":            {team("shop"), "till", "has not the labels"},
		"any, if the selector is empty": {v1alpha1.ServiceAccountAuthentication{Selector: &metav1.LabelSelector{}}, "till", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := join(t, c.accounts)
			_, err := w.try(w.token(w.ns, c.account, nil, issuer, "https://else.example"))
			if c.refusal != "" {
				refused(t, err, c.refusal)
				return
			}
			must(t, err)
		})
	}
}

func TestTokensOfServiceAccountsThatProveNothing(t *testing.T) {
	c := join(t, v1alpha1.ServiceAccountAuthentication{Selector: &metav1.LabelSelector{}})
	other := suite.Namespace(t, nil)
	c.account(other, "cart", nil)
	genuine := c.token(c.ns, "cart", nil, issuer)
	key := generate(t, jose.RS256)
	forged := func(claims map[string]any) string {
		return sign(t, key, "JWT", c.claims(claims))
	}
	me := "system:serviceaccount:" + c.ns + ":cart"
	for sentence, try := range map[string]struct {
		token, words string
		reviewed     bool
	}{
		"one of another namespace":       {c.token(other, "cart", nil, issuer), "is in another", false},
		"one for another audience":       {c.token(c.ns, "cart", nil, "https://else.example"), "another audience", false},
		"one for the API server":         {c.token(c.ns, "cart", nil), "another audience", false},
		"a forged one":                   {forged(map[string]any{"sub": me}), "does not know the token", true},
		"a forged one that has expired":  {forged(map[string]any{"sub": me, "exp": c.clock.Now().Unix()}), "has expired", false},
		"a forged one that never ends":   {forged(map[string]any{"sub": me, "exp": nil}), "never does", false},
		"one of a user":                  {forged(map[string]any{"sub": "admin"}), "is not of a ServiceAccount", false},
		"one of a user with such a name": {forged(map[string]any{"sub": me + ":x"}), "is not of a ServiceAccount", false},
		"a genuine one that was changed": {genuine[:strings.LastIndexByte(genuine, '.')] + ".AAAA", "does not know the token", true},
		"garbage":                        {"a.b.c", "malformed", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			before := c.calls.reviews.Load()
			_, err := c.try(try.token)
			refused(t, err, try.words)
			if strings.Contains(err.Error(), try.token) {
				t.Error("the error quotes the token")
			}
			if asked := c.calls.reviews.Load() > before; asked != try.reviewed {
				t.Errorf("the API server was asked: %v, want %v", asked, try.reviewed)
			}
		})
	}
}

func TestAServiceAccountNeedsNoClientIDWhereItCanBeOneClient(t *testing.T) {
	c := join(t, named("cart"))
	bare := func(account string) error {
		_, err := c.attempt(clientauth.Attempt{Assertion: jose.NewCompact(c.token(c.ns, account, nil, issuer))})
		return err
	}
	must(t, bare("cart"))
	refused(t, bare("till"), "no such client")

	another := func(name string, change func(*v1alpha1.TokenClientSpec)) {
		object := tokenClient(v1alpha1.ClientAuthentication{ServiceAccounts: &v1alpha1.ServiceAccountAuthentication{Selector: &metav1.LabelSelector{}}})
		object.Namespace, object.Name, object.UID = c.ns, name, ""
		object.Spec.Audiences = []v1alpha1.Audience{"https://api.example"}
		object.Spec.SigningKeyRef.Namespace = "shop"
		change(&object.Spec)
		must(t, c.c.Create(t.Context(), object))
	}
	another("elsewhere", func(s *v1alpha1.TokenClientSpec) { s.SigningKeyRef.Name = "other" })
	another("secret", func(s *v1alpha1.TokenClientSpec) { s.Authentication = withSecret().Spec.Authentication })
	must(t, bare("cart"))
	another("all", func(*v1alpha1.TokenClientSpec) {})
	must(t, bare("till"))
	refused(t, bare("cart"), "several clients")
	_, err := c.try(c.token(c.ns, "cart", nil, issuer))
	must(t, err)
}

func TestATokenOutlivesNeitherItsServiceAccountNorItsPod(t *testing.T) {
	c := join(t, v1alpha1.ServiceAccountAuthentication{Selector: &metav1.LabelSelector{}})
	pod := c.pod("cart-1", "cart")
	bound, free := c.token(c.ns, "cart", pod, issuer), c.token(c.ns, "till", nil, issuer)
	for _, token := range []string{bound, free} {
		_, err := c.try(token)
		must(t, err)
	}
	must(t, c.c.Delete(t.Context(), pod, client.GracePeriodSeconds(0)))
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: "till"}}
	must(t, c.c.Delete(t.Context(), account))

	c.clock.Step(10 * time.Second)
	_, err := c.try(free)
	refused(t, err, "") // Although the API server may remember the token for some seconds itself.
	c.account(c.ns, "till", nil)
	c.clock.Step(time.Second)
	_, err = c.try(free)
	refused(t, err, "") // It is another one of the same name.
	// Of the Pod kube-apiserver remembers for some seconds that it was there.
	must(t, wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		c.clock.Step(10 * time.Second)
		_, err = c.try(bound) //nolint:contextcheck // The attempt has the context of the test.
		return err != nil, nil
	}))
	refused(t, err, "does not know the token")
}

func TestTheAPIServerIsAskedOnceForAWhile(t *testing.T) {
	c := join(t, named("cart"))
	token := c.token(c.ns, "cart", nil, issuer)
	c.calls.held = make(chan struct{})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := c.try(token); err != nil {
				t.Error(err)
			}
		})
	}
	close(c.calls.held)
	all.Wait()
	c.clock.Step(10*time.Second - 1)
	_, err := c.try(token)
	must(t, err)
	if n := c.calls.reviews.Load(); n != 1 {
		t.Errorf("within 10 seconds it was asked %d times, want once", n)
	}
	c.clock.Step(1)
	_, err = c.try(token)
	must(t, err)
	if n := c.calls.reviews.Load(); n != 2 {
		t.Errorf("after 10 seconds it was asked %d times, want twice", n)
	}

	forged := sign(t, generate(t, jose.RS256), "JWT", c.claims(map[string]any{"sub": "system:serviceaccount:" + c.ns + ":cart"}))
	for _, step := range []time.Duration{0, time.Second - 1, 1} {
		c.clock.Step(step)
		_, err = c.try(forged)
		refused(t, err, "does not know")
	}
	if n := c.calls.reviews.Load(); n != 4 {
		t.Errorf("a token that is refused was asked for %d times in a second, want twice", n-2)
	}
}

func TestARememberedTokenIsRefusedWhenItExpires(t *testing.T) {
	c := join(t, named("cart"))
	token := c.token(c.ns, "cart", nil, issuer)
	said, err := jose.Parse(token)
	must(t, err)
	c.clock.SetTime(said.Expiry.Add(-time.Second))
	_, err = c.try(token)
	must(t, err)
	c.clock.Step(time.Second)
	_, err = c.try(token)
	refused(t, err, "has expired")
}

func TestNobodyIsRefusedWhileTheAPIServerIsAway(t *testing.T) {
	c := join(t, named("cart"))
	token := c.token(c.ns, "cart", nil, issuer)
	away := beginWith(t, broken{}, half{c.calls})
	_, err := away.attempt(clientauth.Attempt{ClientID: c.ns + ".cart", Assertion: jose.NewCompact(token)})
	unavailable(t, err)
}

// half reads, as a cache does, and cannot write.
type half struct{ client.WithWatch }

func (half) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return broken{}.Create(ctx, object, options...)
}
