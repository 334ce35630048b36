package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/keyturn/keyturn/hack/local/gobuild"
)

// stampFile lies beside the programs and names the go.mod that they were built from.
const stampFile = "go.mod.sha256"

// pin is what hack/kubernetes/go.mod asks for.
type pin struct {
	root       string
	kubernetes string
	etcd       string
	stamp      string
}

func readPin(root string) (pin, error) {
	path := filepath.Join(root, "hack", "kubernetes", "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return pin{}, fmt.Errorf("read versions of the control plane (run this in the top folder of the repository): %w", err)
	}
	sum := sha256.Sum256(content)
	result := pin{root: root, stamp: hex.EncodeToString(sum[:])}
	for module, version := range map[string]*string{
		"k8s.io/kubernetes":         &result.kubernetes,
		"go.etcd.io/etcd/server/v3": &result.etcd,
	} {
		match := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(content)
		if match == nil {
			return pin{}, fmt.Errorf("read versions of the control plane: %s does not require %s", path, module)
		}
		*version = string(match[1])
	}
	return result, nil
}

func (p pin) folder() string {
	return filepath.Join(p.root, ".cache", "kubernetes", p.kubernetes, "bin")
}

func (p pin) built() bool {
	stamp, err := os.ReadFile(filepath.Join(p.folder(), stampFile))
	if err != nil || string(stamp) != p.stamp {
		return false
	}
	for _, program := range []string{Etcd, APIServer, ControllerManager, Kubectl} {
		if !Has(p.folder(), program) {
			return false
		}
	}
	return true
}

// build fills a folder beside the final one and renames it at the end, so that no half-built folder is ever used.
func (p pin) build(ctx context.Context, progress io.Writer) error {
	_, _ = fmt.Fprintf(progress, "Building the control plane from source: Kubernetes %s and etcd %s.\n"+
		"This happens once and takes about ten minutes on two cores; the result stays in %s.\n",
		p.kubernetes, p.etcd, p.folder())

	unfinished := p.folder() + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("clear an interrupted build: %w", err)
	}
	if err := p.compile(ctx, unfinished, progress); err != nil {
		return err
	}
	// etcd's main package lies in a folder named server, and the go command names the program after it.
	if err := os.Rename(filepath.Join(unfinished, "server"), filepath.Join(unfinished, Etcd)); err != nil {
		return fmt.Errorf("name the etcd program: %w", err)
	}
	if err := os.WriteFile(filepath.Join(unfinished, stampFile), []byte(p.stamp), 0o600); err != nil {
		return fmt.Errorf("stamp the built programs: %w", err)
	}
	if err := os.RemoveAll(p.folder()); err != nil {
		return fmt.Errorf("remove older programs: %w", err)
	}
	if err := os.Rename(unfinished, p.folder()); err != nil {
		return fmt.Errorf("install the built programs: %w", err)
	}
	return nil
}

func (p pin) compile(ctx context.Context, output string, progress io.Writer) error {
	if err := os.MkdirAll(output, 0o750); err != nil {
		return fmt.Errorf("create folder for programs: %w", err)
	}
	return gobuild.Build{
		What:   "control plane",
		Folder: filepath.Join(p.root, "hack", "kubernetes"),
		// A go.work of the user does not know this module; without cgo no C compiler is needed.
		Environment: []string{"GOWORK=off", "CGO_ENABLED=0"},
		Flags:       []string{"-trimpath", "-ldflags=" + p.linkerFlags()},
		Packages: []string{
			"go.etcd.io/etcd/server/v3",
			"k8s.io/kubernetes/cmd/kube-apiserver",
			"k8s.io/kubernetes/cmd/kube-controller-manager",
			"k8s.io/kubernetes/cmd/kubectl",
		},
		Output: output + string(filepath.Separator),
	}.Run(ctx, progress)
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
