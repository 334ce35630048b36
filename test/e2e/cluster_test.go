package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	realclock "k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/e2e/leak"
	"github.com/keyturn/keyturn/test/e2e/privilege"
)

// folderVariable names the folder of a running cluster, as hack/cluster makes it.
const folderVariable = "KEYTURN_E2E"

// clusterProgram is hack/cluster, as the Makefile compiles it.
const clusterProgram = ".cache/bin/cluster"

// operatorNamespace is where the operator runs.
const operatorNamespace = "keyturn-system"

// patience bounds every wait on a condition; it is never waited for when all is well.
const patience = 2 * time.Minute

// requestTimeout bounds a request to a pod.
const requestTimeout = 5 * time.Second

// cluster is an administrator's access to the cluster under test.
type cluster struct {
	client.WithWatch

	kube   kubernetes.Interface
	config *rest.Config
	http   *http.Client
	// folder is that of the cluster, top that of the repository.
	folder, top string
	clock       realclock.RealClock
	report      *report
	// secrets are what nothing may tell, and searched is in how many bytes they were looked for.
	secrets  leak.Watcher
	searched int
	// namespaces are what tests have made; mu guards them.
	mu         sync.Mutex
	namespaces []string
	// rights are what was granted to the operator, in so many installs.
	rights   []privilege.Right
	installs int
	removals []removal
}

// connect skips the test where there is no cluster.
func connect(t *testing.T) *cluster {
	t.Helper()
	folder := os.Getenv(folderVariable)
	if folder == "" {
		t.Skipf("%s is not set, so there is no cluster to test in: run make e2e", folderVariable)
	}
	top, err := controlplane.Path()
	must(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(folder, "kubeconfig"))
	must(t, err)
	config.QPS, config.Burst = 100, 200
	api, err := client.NewWithWatch(config, client.Options{Scheme: controlplane.Scheme()})
	must(t, err)
	kube, err := kubernetes.NewForConfig(config)
	must(t, err)
	return &cluster{WithWatch: api, kube: kube, config: config, http: &http.Client{Timeout: requestTimeout}, folder: folder, top: top, report: &report{}}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until check returns nil, and fails with its last error if it never does.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	last := error(nil)
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}

// get reads an object, which must be there.
func get[T client.Object](t *testing.T, c *cluster, namespace, name string, into T) T {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
		t.Fatalf("read %s/%s: %v", namespace, name, err)
	}
	return into
}

// create makes objects, which admission must let pass.
func (c *cluster) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatalf("create %s: %v", object.GetName(), err)
		}
	}
}

// run runs a program in the top folder of the repository, with the cluster's programs and kubeconfig at hand, and returns
// what it printed.
func (c *cluster) run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience) // What cleans up runs after the test's end.
	defer cancel()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = c.top
	command.Env = append(os.Environ(),
		"KUBECONFIG="+filepath.Join(c.folder, "kubeconfig"), "PATH="+filepath.Join(c.folder, "bin")+":"+os.Getenv("PATH"))
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(arguments, " "), err, output, complaints.String())
	}
	return strings.TrimSpace(string(output))
}

func (c *cluster) kubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	return c.run(t, "kubectl", arguments...)
}

// process returns the ID, on this machine, of the process that a pod runs.
func (c *cluster) process(t *testing.T, namespace, pod string) *os.Process {
	t.Helper()
	id, err := strconv.Atoi(c.run(t, clusterProgram, "pid", namespace, pod))
	must(t, err)
	process, err := os.FindProcess(id)
	must(t, err)
	return process
}

// gone says whether the error of a read is that the object is not there.
func gone(err error) error {
	switch {
	case err == nil:
		return errors.New("it is still there")
	case apierrors.IsNotFound(err):
		return nil
	default:
		return err
	}
}
