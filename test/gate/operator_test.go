package gate

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/jose"
)

const (
	audience = "https://orders.example.com"
	// patience bounds every wait on a condition; it is never waited for when all is well.
	patience = time.Minute
)

// cluster is an API server with an operator, a SigningKey and a TokenPolicy that are ready.
type cluster struct {
	t *testing.T
	c client.Client
	// namespace has both.
	namespace string
	// gate and extAuthz are where the operator listens; caFile has the CA to believe.
	gate, extAuthz, caFile string
	key                    jose.PrivateKey
	issuer                 string
}

func begin(t *testing.T, policy v1alpha1.TokenPolicySpec) *cluster {
	t.Helper()
	w := &cluster{t: t, c: suite.Client(t), namespace: suite.Namespace(t, nil), gate: freeAddress(t), extAuthz: freeAddress(t)}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "keyturn-system"}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "keyturn"}},
	} {
		w.must(client.IgnoreAlreadyExists(w.c.Create(t.Context(), object)))
	}
	w.start()
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "orders"}}
	key.Spec.Algorithm = "ES256"
	w.must(w.c.Create(t.Context(), key))
	policy.Issuers = []v1alpha1.PolicyIssuer{{SigningKeyRef: &v1alpha1.SigningKeyReference{Name: "orders"}}}
	policy.Audiences = []v1alpha1.Audience{audience}
	object := &v1alpha1.TokenPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "api"}, Spec: policy}
	w.must(w.c.Create(t.Context(), object))
	w.eventually("the policy is ready", func() error { return w.isReady(object) })
	w.readKey(key)
	w.caFile = filepath.Join(t.TempDir(), "ca.crt")
	ca := &corev1.ConfigMap{}
	w.must(w.c.Get(t.Context(), client.ObjectKey{Namespace: "keyturn-system", Name: "keyturn-ca"}, ca))
	w.must(os.WriteFile(w.caFile, []byte(ca.Data["ca.crt"]), 0o600))
	return w
}

// start runs the operator in this process until the test ends.
func (w *cluster) start() {
	w.t.Helper()
	options := app.DefaultOptions()
	options.LeaderElect, options.ShutdownDelay = false, 0
	host, port, err := net.SplitHostPort(freeAddress(w.t))
	w.must(err)
	options.WebhookHost = host
	_, err = fmt.Sscan(port, &options.WebhookPort)
	w.must(err)
	options.WebhookNames = []string{"127.0.0.1"}
	options.HTTPSAddress, options.ExtAuthzAddress = w.gate, w.extAuthz
	options.MetricsAddress, options.ProbeAddress = "0", "0"
	options.Operator.ExternalURL = "https://" + w.gate
	w.must(options.Complete())
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, suite.Config(w.t), options) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Errorf("operator: %v", err)
		}
	})
}

func (w *cluster) isReady(object *v1alpha1.TokenPolicy) error {
	if err := w.c.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady) {
		return fmt.Errorf("status %+v", object.Status)
	}
	return nil
}

// readKey reads what an application signs with.
func (w *cluster) readKey(key *v1alpha1.SigningKey) {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.must(w.c.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "orders-signing-key"}, secret))
	w.must(w.c.Get(w.t.Context(), client.ObjectKeyFromObject(key), key))
	var err error
	w.key, err = jose.ParsePrivateKey(secret.Data["signing-key.jwk"])
	w.must(err)
	w.issuer = key.Status.Issuer
}

func (w *cluster) must(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// eventually waits until check returns nil, and fails with its last error if it never does.
func (w *cluster) eventually(what string, check func() error) {
	w.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v", what, last)
	}
}

// freeAddress is an address of loopback at which nobody listens now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // Nobody has connected.
	return listener.Addr().String()
}

func init() {
	ctrl.SetLogger(logr.Discard())
}
