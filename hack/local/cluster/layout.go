package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn/hack/local/kubectl"
)

// layout knows where everything of a cluster lies.
type layout struct {
	root, folder string
}

func newLayout(options Options) (layout, error) {
	root, err := filepath.Abs(options.Root)
	if err != nil {
		return layout{}, fmt.Errorf("find the repository: %w", err)
	}
	if options.Folder == "" {
		return layout{root: root, folder: filepath.Join(root, ".run")}, nil
	}
	folder, err := filepath.Abs(options.Folder)
	if err != nil {
		return layout{}, fmt.Errorf("find the cluster's folder: %w", err)
	}
	return layout{root: root, folder: folder}, nil
}

func (l layout) run(elements ...string) string {
	return filepath.Join(append([]string{l.folder}, elements...)...)
}

func (l layout) config(elements ...string) string {
	return filepath.Join(append([]string{l.root, "config"}, elements...)...)
}

// client speaks to the cluster as its administrator.
func (l layout) client() kubectl.Kubectl {
	return kubectl.Kubectl{Path: l.kubectl(), Kubeconfig: l.kubeconfig(), CacheDir: l.run("kubectl-cache")}
}

func (l layout) lock() string               { return l.run("lock") }
func (l layout) state() string              { return l.run("state.json") }
func (l layout) kubeconfig() string         { return l.run("kubeconfig") }
func (l layout) operatorKubeconfig() string { return l.run("operator.kubeconfig") }
func (l layout) kubectl() string            { return l.run("bin", "kubectl") }
func (l layout) operator() string           { return l.run("bin", "keyturn") }
func (l layout) tokenStore() string         { return l.run("token-store") }
func (l layout) logs() string               { return l.run("log") }
func (l layout) log(name string) string     { return l.run("log", name+".log") }
func (l layout) identities() string         { return l.run("pid") }

func (l layout) identity(name string) string {
	return filepath.Join(l.identities(), name+".json")
}

// clear removes all that belongs to a cluster except its logs, which tell why it died, and the lock, which is held.
func (l layout) clear() error {
	for _, name := range []string{"state.json", "kubeconfig", "operator.kubeconfig", "bin", "pid", "pki", "etcd", "token-store", "kubectl-cache"} {
		if err := os.RemoveAll(l.run(name)); err != nil {
			return fmt.Errorf("clear the cluster's files: %w", err)
		}
	}
	return nil
}
