package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/keyturn/keyturn/hack/local/gobuild"
)

// pin is what hack/kubernetes/go.mod and hack/coredns/go.mod ask for.
type pin struct {
	root                      string
	kubernetes, etcd, coreDNS string
	// Hashes of what is built; another one means that the programs are old.
	kubernetesStamp, coreDNSStamp string
}

func readPin(root string) (pin, error) {
	result := pin{root: root}
	kubernetes, err := readModule(root, "kubernetes", map[string]*string{
		"k8s.io/kubernetes":         &result.kubernetes,
		"go.etcd.io/etcd/server/v3": &result.etcd,
	})
	if err != nil {
		return pin{}, err
	}
	coreDNS, err := readModule(root, "coredns", map[string]*string{"github.com/coredns/coredns": &result.coreDNS})
	if err != nil {
		return pin{}, err
	}
	result.kubernetesStamp, result.coreDNSStamp = kubernetes, coreDNS
	return result, nil
}

// readModule finds the versions that the go.mod of a module in hack requires, and returns a hash of what is built.
func readModule(root, name string, versions map[string]*string) (stamp string, err error) {
	path := filepath.Join(root, "hack", name, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read versions of the programs of Kubernetes (run this in the top folder of the repository): %w", err)
	}
	for module, version := range versions {
		match := regexp.MustCompile(`(?m)^(?:require)?\s*` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(content)
		if match == nil {
			return "", fmt.Errorf("read versions of the programs of Kubernetes: %s does not require %s", path, module)
		}
		*version = string(match[1])
	}
	program, err := os.ReadFile(filepath.Join(root, "hack", name, "main.go")) // It chooses the plugins of CoreDNS.
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read what the programs of Kubernetes are built from: %w", err)
	}
	sum := sha256.Sum256(append(content, program...))
	return hex.EncodeToString(sum[:]), nil
}

func (p pin) cache(elements ...string) string {
	return filepath.Join(append([]string{p.root, ".cache", "kubernetes"}, elements...)...)
}

func (p pin) lock() string { return p.cache("lock") }

// controlPlane is what the tests and the demo need. It stands alone, so that they never wait for the programs of a node.
func (p pin) controlPlane() set {
	build := p.kubernetesBuild("control plane", "go.etcd.io/etcd/server/v3",
		"k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-controller-manager", "k8s.io/kubernetes/cmd/kubectl")
	return set{
		what:     fmt.Sprintf("the control plane from source: Kubernetes %s and etcd %s.\nThis happens once and takes about ten minutes on two cores", p.kubernetes, p.etcd),
		folder:   p.cache(p.kubernetes, "bin"),
		stamp:    p.kubernetesStamp,
		programs: []string{Etcd, APIServer, ControllerManager, Kubectl},
		builds:   []gobuild.Build{build},
		// etcd's main package lies in a folder named server, and the go command names the program after it.
		renames: map[string]string{"server": Etcd},
	}
}

// node is what a machine that runs pods needs besides.
func (p pin) node() set {
	kubernetes := p.kubernetesBuild("programs of a node",
		"k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kube-proxy", "k8s.io/kubernetes/cmd/kube-scheduler")
	coreDNS := p.build("CoreDNS", "coredns", "-s -w", ".")
	return set{
		what:     fmt.Sprintf("the programs of a node from source: Kubernetes %s and CoreDNS %s.\nThis happens once and takes about three minutes on two cores", p.kubernetes, p.coreDNS),
		folder:   p.cache(p.kubernetes, "node"),
		stamp:    p.kubernetesStamp + p.coreDNSStamp,
		programs: []string{Scheduler, Kubelet, Proxy, CoreDNS},
		builds:   []gobuild.Build{kubernetes, coreDNS},
	}
}

func (p pin) build(what, module, linkerFlags string, packages ...string) gobuild.Build {
	return gobuild.Build{
		What:   what,
		Folder: filepath.Join(p.root, "hack", module),
		// A go.work of the user does not know this module; without cgo no C compiler is needed.
		Environment: []string{"GOWORK=off", "CGO_ENABLED=0"},
		Flags:       []string{"-trimpath", "-buildvcs=false", "-ldflags=" + linkerFlags},
		Packages:    packages,
	}
}

func (p pin) kubernetesBuild(what string, packages ...string) gobuild.Build {
	return p.build(what, "kubernetes", p.linkerFlags(), packages...)
}

// linkerFlags leave out debug symbols and tell Kubernetes its version, which it does not know as a mere module.
func (p pin) linkerFlags() string {
	flags := []string{"-s", "-w"}
	version := strings.Split(strings.TrimPrefix(p.kubernetes, "v"), ".")
	for _, variables := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", variables+".gitVersion="+p.kubernetes,
			"-X", variables+".gitMajor="+version[0],
			"-X", variables+".gitMinor="+version[1],
			"-X", variables+".gitTreeState=clean",
		)
	}
	return strings.Join(flags, " ")
}
