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

const lockName = "lock"

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

func (l layout) lock() string             { return l.file(lockName) }
func (l layout) state() string            { return l.file("state.json") }
func (l layout) kubeconfig() string       { return l.file("kubeconfig") }
func (l layout) programs() string         { return l.file("bin") }
func (l layout) kubectl() string          { return l.file("bin", "kubectl") }
func (l layout) logs() string             { return l.file(machine.Logs) }
func (l layout) log(name string) string   { return l.file(machine.Logs, name+".log") }
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
		if outlives(entry.Name()) {
			continue
		}
		if err := os.RemoveAll(l.file(entry.Name())); err != nil {
			return fmt.Errorf("clear the cluster's files: %w", err)
		}
	}
	// The kubelet's links to the logs of pods lead nowhere outside of the machine.
	if err := os.RemoveAll(l.file(machine.Logs, "containers")); err != nil {
		return fmt.Errorf("clear the cluster's files: %w", err)
	}
	return nil
}

// outlives tells which files in the cluster's folder stay when the cluster goes.
func outlives(name string) bool {
	return name == lockName || name == machine.Logs
}

// inside is the path at which the programs of the cluster find a file of its folder.
func inside(elements ...string) string {
	return filepath.Join(append([]string{machine.Folder}, elements...)...)
}
