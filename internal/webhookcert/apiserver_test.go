package webhookcert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/test/controlplane"
)

const (
	operatorUser   = "system:serviceaccount:keyturn-system:keyturn"
	probeLabel     = "probe"
	settlingTime   = 2 * time.Minute
	settlingPeriod = 20 * time.Millisecond
)

// A realCluster is a kube-apiserver that asks two webhooks about ConfigMaps of one namespace: ours about every one of them, and
// about those labelled as a probe one that has a certificate of whatever CA is the newest.
type realCluster struct {
	client.Client
	t         *testing.T
	namespace string
	options   Options
}

func newRealCluster(t *testing.T, change ...func(*Options)) *realCluster {
	t.Helper()
	c := &realCluster{Client: suite.Client(t), t: t, namespace: suite.Namespace(t, nil), options: testOptions()}
	c.options.Namespace, c.options.Backdate = c.namespace, time.Hour
	for _, f := range change {
		f(&c.options)
	}
	c.mustCreate(c.grants()...)
	return c
}

// grants are exactly the rights that the markers of this package ask for, without those to write if somebody else keeps the
// certificate.
func (c *realCluster) grants() []client.Object {
	named := metav1.ObjectMeta{Name: "keyturn", Namespace: c.namespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operatorUser}}
	role, binding := &rbacv1.Role{ObjectMeta: named}, &rbacv1.RoleBinding{ObjectMeta: named, Subjects: subjects}
	role.Rules = []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{DefaultName}, Verbs: []string{"get", "update", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{CAConfigMap}, Verbs: []string{"get", "update", "watch"}},
	}
	binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}
	clusterRole := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "keyturn"}}
	clusterRole.Rules = []rbacv1.PolicyRule{{
		APIGroups: []string{admissionregistrationv1.GroupName}, Resources: []string{"validatingwebhookconfigurations"},
		ResourceNames: []string{c.options.WebhookConfiguration}, Verbs: []string{"get", "patch", "watch"},
	}}
	clusterBinding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "keyturn"}, Subjects: subjects}
	if c.options.External {
		role.Rules = []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{DefaultName}, Verbs: []string{"get", "watch"}},
		}
		clusterRole.Rules[0].Verbs = []string{"get", "watch"}
	}
	clusterBinding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole.Name}
	return []client.Object{role, binding, clusterRole, clusterBinding}
}

// mustCreate creates objects and deletes them when the test ends, a webhook configuration first of all.
func (c *realCluster) mustCreate(objects ...client.Object) {
	c.t.Helper()
	for _, object := range objects {
		if err := c.Create(c.t.Context(), object); err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() {
			if err := c.Delete(context.WithoutCancel(c.t.Context()), object); client.IgnoreNotFound(err) != nil {
				c.t.Error(err)
			}
		})
	}
}

// start runs a replica with the operator's rights alone.
func (c *realCluster) start(clk *suspended) *Manager {
	c.t.Helper()
	config := suite.Config(c.t)
	config.Impersonate = rest.ImpersonationConfig{UserName: operatorUser}
	direct, err := client.NewWithWatch(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		c.t.Fatal(err)
	}
	manager, err := New(direct, clk, c.options)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
	return manager
}

// serve answers every review with yes. Each call takes a handshake of its own.
func (c *realCluster) serve(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) string {
	c.t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: certificate, MinVersion: tls.VersionTLS12})
	if err != nil {
		c.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(admit), ReadHeaderTimeout: settlingTime}
	server.SetKeepAlivesEnabled(false)
	go func() { _ = server.Serve(listener) }()
	c.t.Cleanup(func() { _ = server.Close() })
	return "https://" + listener.Addr().String()
}

func admit(w http.ResponseWriter, r *http.Request) {
	review := &admissionv1.AdmissionReview{}
	if err := json.NewDecoder(r.Body).Decode(review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// webhooks make the API server call every for ConfigMaps, and probe too where they are labelled so.
func (c *realCluster) webhooks(every, probe string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	configuration := testConfiguration()
	for i, url := range []string{every, probe} {
		webhook := &configuration.Webhooks[i]
		webhook.ClientConfig.URL = &url
		webhook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: c.namespace}}
		webhook.Rules = []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
			},
		}}
	}
	// The ConfigMap that this replica publishes is not what it is asked about.
	configuration.Webhooks[0].ObjectSelector = &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: managedByLabel, Operator: metav1.LabelSelectorOpDoesNotExist}},
	}
	configuration.Webhooks[1].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{probeLabel: "true"}}
	return configuration
}

// call has the API server ask the webhooks, and writes nothing.
func (c *realCluster) call(ctx context.Context, labels map[string]string) error {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, GenerateName: "asked-", Labels: labels}}
	return c.Create(ctx, object, client.DryRunAll)
}

func (c *realCluster) until(what string, holds func(context.Context) error) {
	c.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(c.t.Context(), settlingPeriod, settlingTime, true, func(ctx context.Context) (bool, error) {
		last = holds(ctx)
		return last == nil, nil
	})
	if err != nil {
		c.t.Fatalf("%s: %v: %v", what, err, last)
	}
}

func (c *realCluster) secret(ctx context.Context) *corev1.Secret {
	c.t.Helper()
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: DefaultName}, secret); err != nil {
		c.t.Fatal(err)
	}
	return secret
}

// step moves the replica's clock and wakes it as any change of the Secret does.
func (c *realCluster) step(clk *suspended, by time.Duration) {
	c.t.Helper()
	clk.missed.Add(int64(by))
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"at":"`+clk.Now().String()+`"}}}`))
	if err := c.Patch(c.t.Context(), c.secret(c.t.Context()), patch); err != nil {
		c.t.Fatal(err)
	}
}

// calling calls all the time until the returned function is called, which tells of the first call that failed.
func (c *realCluster) calling() (stop func() error) {
	ctx, cancel := context.WithCancel(c.t.Context())
	failed := make(chan error, 1)
	go func() {
		for {
			err := c.call(ctx, nil)
			if ctx.Err() != nil {
				failed <- nil
				return
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	return func() error {
		cancel()
		return <-failed
	}
}

var errNotYet = errors.New("not yet")
