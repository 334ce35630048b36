package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn/hack/cluster/machine"
	"github.com/keyturn/keyturn/hack/local/kubectl"
)

// layout knows where everything of a cluster lies on the host.
type layout struct {
	root string
}

func newLayout(root string) (layout, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return layout{}, fmt.Errorf("find the repository: %w", err)
	}
	return layout{root: absolute}, nil
}

// name is what the cluster's devices and control groups are called. It is another one in each checkout, and short, because
// the name of a network device may have 15 characters.
func (l layout) name() string {
	sum := sha256.Sum256([]byte(l.root))
	return "kt" + hex.EncodeToString(sum[:4])
}

func (l layout) file(elements ...string) string {
	return filepath.Join(append([]string{l.root, ".run", "cluster"}, elements...)...)
}

func (l layout) lock() string             { return l.file("lock") }
func (l layout) state() string            { return l.file("state.json") }
func (l layout) kubeconfig() string       { return l.file("kubeconfig") }
func (l layout) programs() string         { return l.file("bin") }
func (l layout) kubectl() string          { return l.file("bin", "kubectl") }
func (l layout) logs() string             { return l.file("log") }
func (l layout) log(name string) string   { return l.file("log", name+".log") }
func (l layout) ready() string            { return l.file(machine.Ready) }
func (l layout) resolver() string         { return l.file(machine.Resolver) }
func (l layout) authentication() string   { return l.file(authenticationFile) }
func (l layout) identity(n string) string { return l.file("pid", n+".json") }

// client speaks to the cluster as its administrator.
func (l layout) client() kubectl.Kubectl {
	return kubectl.Kubectl{Path: l.kubectl(), Kubeconfig: l.kubeconfig(), CacheDir: l.file("kubectl-cache")}
}

// clear removes all that belongs to a cluster except its logs, which tell why it died, and the lock, which is held.
func (l layout) clear() error {
	entries, err := os.ReadDir(l.file())
	if err != nil {
		return fmt.Errorf("clear the cluster's files: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == "lock" || entry.Name() == "log" {
			continue
		}
		if err := os.RemoveAll(l.file(entry.Name())); err != nil {
			return fmt.Errorf("clear the cluster's files: %w", err)
		}
	}
	return nil
}

// inside is the path at which the programs of the cluster find a file of its folder.
func inside(elements ...string) string {
	return filepath.Join(append([]string{machine.Folder}, elements...)...)
}
