// Package controlplane gives a test package a real etcd and kube-apiserver, with the CRDs of this repository installed.
//
// There is no kube-controller-manager: nothing collects garbage, and a deleted Namespace stays Terminating.
package controlplane

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// assetsVariable names the folder of etcd, kube-apiserver and kubectl; envtest reads it too.
const assetsVariable = "KUBEBUILDER_ASSETS"

// startTimeout is for machines on which many suites start at once; a control plane of its own is up in seconds.
const startTimeout = 2 * time.Minute

// Suite is the control plane of one test package. The zero value is ready for Run, to be called once, by TestMain:
//
//	var suite controlplane.Suite
//
//	func TestMain(m *testing.M) { suite.Run(m) }
type Suite struct {
	config *rest.Config
	err    error // why there is no config, when the programs are there
}

// Run starts the control plane, runs the tests and stops it. Without KUBEBUILDER_ASSETS nothing is started, and every test
// that asks for the control plane is skipped. The configure functions may change the environment before it starts.
func (s *Suite) Run(m *testing.M, configure ...func(*envtest.Environment)) {
	if os.Getenv(assetsVariable) == "" {
		m.Run()
		return
	}
	environment, err := newEnvironment()
	if err != nil {
		s.err = err
		m.Run()
		return
	}
	for _, change := range configure {
		change(environment)
	}
	if s.config, err = environment.Start(); err != nil {
		s.err = fmt.Errorf("start control plane: %w", err)
	}
	stop := sync.OnceFunc(func() {
		if err := environment.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "stop control plane: %v\n", err)
		}
	})
	defer stop() // also after a failed start, which may have left etcd behind
	defer onInterrupt(stop)()
	m.Run()
}

// onInterrupt calls stop before an interrupt ends this process, because the programs of the control plane would outlive it.
// The returned function ends the watch.
func onInterrupt(stop func()) (release func()) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		interrupt, ok := <-interrupts
		if !ok {
			return
		}
		stop()
		signal.Reset(interrupt)
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(interrupt) // which now ends the process, as it would have without us
		}
	}()
	return func() {
		signal.Stop(interrupts)
		close(interrupts)
	}
}

// Config returns an administrator's access to the API server. It skips the test when the programs are not there, and
// fails it when they did not start.
func (s *Suite) Config(t testing.TB) *rest.Config {
	t.Helper()
	if s.err != nil {
		t.Fatal(s.err)
	}
	if s.config == nil {
		t.Skipf("%s is not set, so there is no kube-apiserver to test against: run make test", assetsVariable)
	}
	return rest.CopyConfig(s.config)
}

// Client returns an administrator's client without a cache that knows the kinds of Kubernetes and of Keyturn.
func (s *Suite) Client(t testing.TB) client.Client {
	t.Helper()
	c, err := client.New(s.Config(t), client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	return c
}

// Namespace creates a Namespace for one test and returns its name.
func (s *Suite) Namespace(t testing.TB, labels map[string]string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	if err := s.Client(t).Create(t.Context(), namespace); err != nil {
		t.Fatalf("create namespace: %v", err)
	}
	return namespace.Name
}

// Scheme knows the kinds of Kubernetes and of Keyturn.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}
