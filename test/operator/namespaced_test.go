package operator

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/test/controlplane"
)

// rights are what an operator needs that watches some namespaces only: of the generated ClusterRole, what is about the cluster
// stays a ClusterRole, and the rest is a Role in each namespace.
type rights struct {
	cluster, own, each []rbacv1.PolicyRule
}

func readRights(t *testing.T) rights {
	t.Helper()
	folder, err := controlplane.Path("config", "rbac")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(os.DirFS(folder), "role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(raw, []byte("\n---\n"))
	if len(documents) != 2 {
		t.Fatalf("role.yaml holds %d objects, want a ClusterRole and a Role", len(documents))
	}
	var everywhere rbacv1.ClusterRole
	var own rbacv1.Role
	for i, into := range []any{&everywhere, &own} {
		if err := yaml.Unmarshal(documents[i], into); err != nil {
			t.Fatal(err)
		}
	}
	r := rights{own: own.Rules}
	for _, rule := range everywhere.Rules {
		if slices.Contains([]string{"namespaces", "validatingwebhookconfigurations", "tokenreviews"}, rule.Resources[0]) {
			r.cluster = append(r.cluster, rule)
		} else {
			r.each = append(r.each, rule)
		}
	}
	return r
}

// grant gives the operator rights in one namespace, or in the cluster where that is empty.
func grant(t *testing.T, namespace string, rules []rbacv1.PolicyRule) {
	t.Helper()
	c := suite.Client(t)
	named := metav1.ObjectMeta{Name: "keyturn-manager", Namespace: namespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operatorUser}}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: named.Name}
	objects := []client.Object{
		&rbacv1.Role{ObjectMeta: named, Rules: rules}, &rbacv1.RoleBinding{ObjectMeta: named, Subjects: subjects, RoleRef: reference},
	}
	if reference.Kind = "ClusterRole"; namespace == "" {
		objects = []client.Object{
			&rbacv1.ClusterRole{ObjectMeta: named, Rules: rules},
			&rbacv1.ClusterRoleBinding{ObjectMeta: named, Subjects: subjects, RoleRef: reference},
		}
	}
	for _, object := range objects {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Delete(context.WithoutCancel(t.Context()), object); err != nil {
				t.Error(err)
			}
		})
	}
}

// refusals are the requests of an operator that the API server did not permit.
type refusals struct {
	mu    sync.Mutex
	calls []string
}

func (r *refusals) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

type warden struct {
	*refusals
	next http.RoundTripper
}

func (w *warden) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusForbidden {
		w.mu.Lock()
		w.calls = append(w.calls, request.Method+" "+request.URL.Path)
		w.mu.Unlock()
	}
	return response, err
}

// watching makes an operator work in some namespaces, with no rights but those that it was granted.
func watching(r *refusals, namespaces ...string) setup {
	return func(options *app.Options, config *rest.Config) {
		options.Operator.WatchedNamespaces = namespaces
		options.LeaderElect = true
		config.Impersonate = rest.ImpersonationConfig{UserName: operatorUser}
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &warden{refusals: r, next: next} })
	}
}

// failures counts the reconciles of this process that ended with an error.
const failures = "controller_runtime_reconcile_errors_total"

func TestAnOperatorOfTwoNamespacesNeedsNoRightsInOthers(t *testing.T) {
	bank := suite.Namespace(t, nil)
	marks := map[string]string{"jwks": bank}
	shop, elsewhere := suite.Namespace(t, marks), suite.Namespace(t, marks)
	given := readRights(t)
	grant(t, "", given.cluster)
	installWebhooks(t, suite.Client(t))
	for namespace, rules := range map[string][]rbacv1.PolicyRule{"keyturn-system": given.own, bank: given.each, shop: given.each} {
		grant(t, namespace, rules)
	}
	r, before := &refusals{}, gauge(t, failures)
	w := begin(t, watching(r, bank, shop))
	shared := newKey(bank, "shared", func(k *v1alpha1.SigningKey) {
		k.Spec.JWKS.Namespaces = &metav1.LabelSelector{MatchLabels: marks}
		k.Spec.Tokens.AllowedNamespaces.From = v1alpha1.NamespacesFromAll
	})
	of := func(s *v1alpha1.ServiceToken) { s.Spec.SigningKeyRef.Namespace = bank }
	w.ready(bank, []*v1alpha1.SigningKey{shared}, []*v1alpha1.ServiceToken{newToken(shop, "cart", "shared", of)})
	w.create(newKey(elsewhere, "own"), newToken(elsewhere, "cart", "shared", of))
	theirs := planted(t, elsewhere, "own")
	theirs.Namespace = shop
	w.create(theirs)
	w.create(newToken(shop, "lost", "own", func(s *v1alpha1.ServiceToken) { s.Spec.SigningKeyRef.Namespace = elsewhere }))
	w.tokenIs(shop, "lost", metav1.ConditionFalse, v1alpha1.ReasonSigningKeyNotFound)

	w.rotates(bank, "shared")
	w.step(life)
	w.eventually("a renewed token verifies by the copy beside it", func() error {
		jwks, issuer := w.configMap(shop, "shared-jwks").Data["jwks.json"], w.configMap(shop, "shared-jwks").Data["issuer"]
		_, err := verify(string(w.secret(shop, "cart").Data["token"]), jwks, w.now(), issuer)
		return err
	})
	message := "1 more that get no copy, because the operator does not watch them (--watch-namespaces): " + elsewhere
	w.eventually("the key says where there is no copy", func() error {
		for _, c := range w.key(bank, "shared").Status.Conditions {
			if c.Type == v1alpha1.ConditionPropagated && strings.HasSuffix(c.Message, message) {
				return nil
			}
		}
		return fmt.Errorf("it does not: %+v", w.key(bank, "shared").Status.Conditions)
	})
	w.eventually("a key with a live token cannot be deleted", func() error {
		err := w.c.Delete(t.Context(), shared, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "1 ServiceToken holds a live token") {
			return fmt.Errorf("it ends with %w", err)
		}
		return nil
	})
	w.must(w.c.Delete(t.Context(), w.token(shop, "cart")), w.c.Delete(t.Context(), w.token(shop, "lost")), w.c.Delete(t.Context(), shared))
	w.gone(shop, "shared-jwks")

	w.must(w.c.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs))
	if after := gauge(t, failures); after != before {
		t.Errorf("%v reconciles have failed", after-before)
	}
	if calls := r.list(); len(calls) > 0 {
		t.Errorf("the operator was not permitted to %v", calls)
	}
	if w.op.requests.has("", "/namespaces/"+elsewhere) {
		t.Error("the operator asked for something of a namespace that it does not watch")
	}
	if key := w.key(elsewhere, "own"); len(key.Status.Conditions) > 0 {
		t.Errorf("the SigningKey elsewhere has conditions: %+v", key.Status.Conditions)
	}
}

// rotates lets a key rotate once.
func (w *world) rotates(ns, name string) {
	w.t.Helper()
	first := w.key(ns, name).Status.ActiveKeyID
	w.step(period - lead)
	w.settles(ns, name, "a Pending key", func(s map[v1alpha1.KeyState][]string) bool { return len(s[v1alpha1.KeyPending]) == 1 })
	w.eventually("its publication is recorded", func() error {
		if w.key(ns, name).Status.Keys[0].PublishedAt == nil {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	w.step(lead + time.Second)
	w.settles(ns, name, "the rotation", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyRetired], []string{first})
	})
}

func TestANamespaceWithoutRightsIsNoReasonNotToServeTheOthers(t *testing.T) {
	bank, late := suite.Namespace(t, nil), suite.Namespace(t, nil)
	given := readRights(t)
	grant(t, "", given.cluster)
	installWebhooks(t, suite.Client(t))
	grant(t, "keyturn-system", given.own)
	grant(t, bank, given.each)
	probes := address(t)
	w := begin(t, watching(&refusals{}, late, bank, "does-not-exist"), func(options *app.Options, _ *rest.Config) {
		options.ProbeAddress = probes
	})
	w.ready(bank, []*v1alpha1.SigningKey{newKey(bank, "shop")}, nil)
	w.create(newKey(late, "shop"))
	w.eventually("the operator is ready", func() error { return w.probe(probes) })

	grant(t, late, given.each)
	w.step(time.Minute)
	w.keyIs(late, "shop", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// warnings are what the API server has told a client.
type warnings struct{ text strings.Builder }

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.text.WriteString(text + "\n")
}

func (w *warnings) take() string {
	defer w.text.Reset()
	return w.text.String()
}

func TestWhatIsInOtherNamespacesPassesTheWebhooksWithAWarning(t *testing.T) {
	bank, elsewhere := suite.Namespace(t, nil), suite.Namespace(t, map[string]string{"keyturn.dev/verify-pods": "enabled"})
	w := begin(t, func(options *app.Options, _ *rest.Config) { options.Operator.WatchedNamespaces = []string{bank} })
	w.ready(bank, []*v1alpha1.SigningKey{newKey(bank, "shop")}, nil)
	said := &warnings{}
	config := suite.Config(t)
	config.WarningHandlerWithContext = said
	user, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	w.must(err)

	brief := func(k *v1alpha1.SigningKey) { k.Spec.Tokens.MaxDuration = duration(time.Second) }
	wrong := func(s *v1alpha1.ServiceToken) { s.Spec.Duration = duration(time.Second) }
	for what, object := range map[string]client.Object{
		"SigningKey": newKey(elsewhere, "x", brief), "ServiceToken": newToken(elsewhere, "x", "x", wrong),
		"Secret": &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere, Name: "x"}, Type: v1alpha1.SecretTypeToken},
		"Pod": &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere, Name: "x"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
		},
	} {
		want := what + " x is not checked: the Keyturn operator that was asked does not watch namespace " + elsewhere + " (--watch-namespaces)"
		if err := user.Create(t.Context(), object, client.DryRunAll); err != nil || !strings.Contains(said.take(), want) {
			t.Errorf("%s: %v, and no warning that says %q", what, err, want)
		}
	}
	if err := user.Create(t.Context(), newKey(bank, "x", brief), client.DryRunAll); err == nil {
		t.Error("the same in the watched namespace is allowed")
	}
}
