package webhook_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/webhook"
)

// operatorUser is who the operator is.
const operatorUser = "system:serviceaccount:keyturn-system:keyturn"

// patience bounds every wait; it is never waited for when all is well.
const patience = 30 * time.Second

// apiServer is a real API server that asks the webhooks of this process.
type apiServer struct {
	t *testing.T
	// admin is whoever may do everything, and operator is Keyturn.
	admin, operator client.Client
	warnings        *warnings
	// bank has the SigningKeys, shop asks for tokens.
	bank, shop string
	stop       func()
}

// serveAPI starts the webhooks of one test, and stops them at its end.
func serveAPI(t *testing.T, shopLabels map[string]string) *apiServer {
	t.Helper()
	s := &apiServer{t: t, warnings: &warnings{}}
	s.admin, s.operator = s.clientOf(""), s.clientOf(operatorUser)
	s.bank, s.shop = suite.Namespace(t, nil), suite.Namespace(t, shopLabels)
	s.start()
	probe := signingKey(s.bank, "probe", func(k *v1alpha1.SigningKey) { k.Spec.Tokens.Rules = []v1alpha1.TokenRule{{Expression: "("}} })
	s.refused("the webhooks answer", func() error { return s.admin.Create(t.Context(), probe.DeepCopy(), client.DryRunAll) }, "denied the request")
	return s
}

// clientOf is a client of an administrator, who may call himself something else.
func (s *apiServer) clientOf(user string) client.Client {
	s.t.Helper()
	config := suite.Config(s.t)
	config.WarningHandlerWithContext = s.warnings
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	}
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// start runs a manager that serves the webhooks from caches like the operator's.
func (s *apiServer) start() {
	s.t.Helper()
	mgr, err := ctrl.NewManager(suite.Config(s.t), ctrl.Options{
		Scheme: controlplane.Scheme(),
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})},
		}},
		Metrics: server.Options{BindAddress: "0"},
		WebhookServer: ctrlwebhook.NewServer(ctrlwebhook.Options{
			Host: hooks.LocalServingHost, Port: hooks.LocalServingPort, CertDir: hooks.LocalServingCertDir,
		}),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	indexer := mgr.GetFieldIndexer()
	s.must(indexer.IndexField(ctx, &v1alpha1.ServiceToken{}, spec.IndexSigningKey, spec.SigningKeyIndex))
	s.must(indexer.IndexField(ctx, &v1alpha1.TokenClient{}, spec.IndexSigningKey, spec.SigningKeyIndex))
	s.must(indexer.IndexField(ctx, &v1alpha1.TokenPolicy{}, spec.IndexSigningKey, spec.SigningKeyIndex))
	s.must(indexer.IndexField(ctx, &v1alpha1.SigningKey{}, spec.IndexIssuer, operator().IssuerIndex))
	s.must(indexer.IndexField(ctx, &v1alpha1.TokenRevocation{}, spec.IndexSigningKey, spec.SigningKeyIndex))
	clk := clocktesting.NewFakePassiveClock(today())
	rings := ringstore.New(mgr.GetClient(), mgr.GetAPIReader(), clk, operator().SignerStaleness)
	lists := denylist.New(mgr.GetClient(), rings, operator(), clk)
	s.must(lists.Follow(ctx, mgr.GetCache()))
	webhook.Register(mgr.GetWebhookServer(), webhook.Options{
		Reader: mgr.GetClient(), APIReader: mgr.GetAPIReader(), Clock: clk, Operator: operator(), Permit: permit.New(operator()),
		Rings: rings, DenyLists: lists,
	})
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("stop webhooks: %v", err)
		}
	})
	s.t.Cleanup(s.stop)
}

func (s *apiServer) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// allowed does something until it is allowed, because the webhooks' caches are behind for a moment.
func (s *apiServer) allowed(what string, do func() error) {
	s.t.Helper()
	s.eventually(what, func() error { return client.IgnoreAlreadyExists(do()) })
}

// refused tries something until it is refused in those words. What is tried must be a dry run: it may be allowed at first.
func (s *apiServer) refused(what string, try func() error, want string) {
	s.t.Helper()
	s.eventually(what, func() error {
		err := try()
		if err == nil {
			return fmt.Errorf("it was allowed, want: %s", want)
		}
		if !strings.Contains(err.Error(), want) {
			return fmt.Errorf("refused with: %w\nwant: %s", err, want)
		}
		return nil
	})
}

func (s *apiServer) eventually(what string, check func() error) {
	s.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(s.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		s.t.Fatalf("%s: %v", what, last)
	}
}

// tries is a dry run of a creation.
func (s *apiServer) tries(object client.Object) func() error {
	return func() error {
		return s.admin.Create(s.t.Context(), object.DeepCopyObject().(client.Object), client.DryRunAll)
	}
}

// patches is a change, or a dry run of one.
func patches[T client.Object](s *apiServer, object T, change func(T), options ...client.PatchOption) func() error {
	changed := object.DeepCopyObject().(T)
	change(changed)
	return func() error {
		return s.admin.Patch(s.t.Context(), changed.DeepCopyObject().(T), client.MergeFrom(object), options...)
	}
}

func (s *apiServer) deletes(object client.Object) func() error {
	return func() error { return s.admin.Delete(s.t.Context(), object, client.DryRunAll) }
}

// warned waits for a warning with those words.
func (s *apiServer) warned(what string, try func() error, want string) {
	s.t.Helper()
	s.eventually(what, func() error {
		s.warnings.take()
		if err := try(); err != nil {
			return err
		}
		if got := s.warnings.take(); !strings.Contains(got, want) {
			return fmt.Errorf("warned: %q\nwant: %s", got, want)
		}
		return nil
	})
}

// warnings are what the API server has told its clients.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

func (w *warnings) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.Join(w.text, "\n")
	w.text = nil
	return text
}

// served counts what the API server has asked of a path.
func (s *apiServer) served(path string) float64 {
	s.t.Helper()
	families, err := metrics.Registry.Gather()
	s.must(err)
	var sum float64
	for _, family := range families {
		if family.GetName() != "controller_runtime_webhook_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "webhook" && label.GetValue() == path {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// issued creates a SigningKey with its ring, as the operator does.
func (s *apiServer) issued(key *v1alpha1.SigningKey) ring {
	s.t.Helper()
	s.allowed("create a SigningKey", func() error { return s.admin.Create(s.t.Context(), key) })
	r := newRing(s.t, key)
	s.must(s.operator.Create(s.t.Context(), r.secret))
	return r
}

// holds creates a ServiceToken and its Secret, as the operator does.
func (s *apiServer) holds(name string, key *v1alpha1.SigningKey, compact string) *v1alpha1.ServiceToken {
	s.t.Helper()
	asked := serviceToken(s.shop, name, key)
	s.allowed("create a ServiceToken", func() error { return s.admin.Create(s.t.Context(), asked) })
	s.must(s.operator.Create(s.t.Context(), ours(tokenSecret(s.shop, name, compact))))
	return asked
}
