package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Place is a cluster of hack/cluster with Keyturn in it, and the machine beside it.
type Place struct {
	// Top is the top folder of the repository, an absolute path.
	Top string
	// Cluster is the folder of the cluster, an absolute path.
	Cluster string
}

// namespace is the one that every page makes, and removes.
const namespace = "shop"

// joseOfNPM is the package that pages install, in the words in which they do.
const joseOfNPM = "jose@5"

const (
	pageDeadline  = 5 * time.Minute
	programsGrace = 15 * time.Second
)

// Execute executes the pages of docs/recipes one after the other, each as a subtest. An interrupt ends their programs before it
// ends this one.
func Execute(t *testing.T, place Place) {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pages, err := ReadPages(place.Top)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	c := cook{Place: place, environment: place.environment(home)}
	c.stockUp(t)
	for _, page := range pages {
		t.Run(page.Name, func(t *testing.T) { c.execute(ctx, t, page) })
		if ctx.Err() != nil {
			stop()
			// This program is about to end without clearing up. TempDir has made two folders.
			_ = os.RemoveAll(filepath.Dir(home))
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
			t.FailNow()
		}
	}
}

// cook executes pages in a place, all of them in one environment.
type cook struct {
	Place

	environment []string
}

func (c cook) execute(ctx context.Context, t *testing.T, page Page) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, pageDeadline)
	defer cancel()
	c.define(ctx, t, needs(page.Name))
	kitchen := Kitchen{Beside: c.beside(), Directory: c.Top, Folder: folder(t), Grace: programsGrace, Environment: c.environment}
	if err := kitchen.Run(ctx, page); err != nil {
		t.Error(err)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	left, err := c.kubectl(ctx, "get", "namespace", namespace, "--ignore-not-found", "--output=name")
	if err != nil || left != "" {
		t.Errorf("%s.md leaves %s %v", page.Name, left, err)
	}
}

// beside starts a command where the names of Services resolve; it looks for the cluster in the folder that it is started in.
func (p Place) beside() []string {
	return []string{filepath.Join(p.Top, ".cache", "bin", "cluster"), "exec", "--"}
}

func (p Place) kubeconfig() string { return filepath.Join(p.Cluster, "kubeconfig") }

func (p Place) kubectlPath() string { return filepath.Join(p.Cluster, "bin", "kubectl") }

// environment has kubectl and beyond that only Debian's programs, so that a page has to say what else it needs.
func (p Place) environment(home string) []string {
	return append(os.Environ(),
		"PATH="+filepath.Dir(p.kubectlPath())+":/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME="+home,
		"KUBECONFIG="+p.kubeconfig(),
		"AUTHENTICATION_CONFIG="+filepath.Join(p.Cluster, "authentication.yaml"),
		"npm_config_prefer_offline=true",
	)
}

// stockUp puts what pages install into npm's cache: the network of a cluster may have no way to the registry.
func (c cook) stockUp(t *testing.T) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "npm", "cache", "add", joseOfNPM)
	command.Env = c.environment
	if printed, err := command.CombinedOutput(); err != nil {
		t.Fatalf("put %s into npm's cache: %v\n%s", joseOfNPM, err, printed)
	}
}

// folder is one that programs which gave up root can reach, if they know where.
func folder(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	for _, each := range []string{filepath.Dir(path), path} {
		if err := os.Chmod(each, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// define installs CustomResourceDefinitions for the time of the test.
func (c cook) define(ctx context.Context, t *testing.T, needed []definitions) {
	t.Helper()
	if len(needed) == 0 {
		return
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	options := envtest.CRDInstallOptions{ErrorIfPathMissing: true, MaxTime: time.Minute}
	for _, each := range needed {
		path, err := each.path(ctx)
		if err != nil {
			t.Fatal(err)
		}
		options.Paths = append(options.Paths, path)
	}
	t.Cleanup(func() {
		// It waits until they are gone, so that nobody meets what is half there.
		remove := []string{"delete", "--ignore-not-found", "--filename=" + strings.Join(options.Paths, ",")}
		if _, err := c.kubectl(context.WithoutCancel(ctx), remove...); err != nil {
			t.Error(err)
		}
	})
	if _, err := envtest.InstallCRDs(config, options); err != nil {
		t.Fatal(err)
	}
}

// kubectl speaks to the cluster as its administrator, and returns what it printed.
func (c cook) kubectl(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, c.kubectlPath(), arguments...)
	command.Env = c.environment
	printed, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", arguments[0], err, printed)
	}
	return strings.TrimSpace(string(printed)), nil
}
