// Package binaries provides the programs of the control plane: etcd, kube-apiserver, kube-controller-manager and kubectl.
//
// They are built from the Go module in hack/kubernetes, once, because no other download than Go modules is needed that way.
package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn/hack/local/lockfile"
)

// The names of the programs.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Kubectl           = "kubectl"
)

// Ensure returns the folder that holds the programs.
//
// When assets, the value of KUBEBUILDER_ASSETS, is not empty, it is that folder and nothing is built. It must hold etcd,
// kube-apiserver and kubectl, as envtest wants; kube-controller-manager may be missing there, because the usual envtest
// archives have none. Otherwise the programs are built below the folder root of the repository, unless that was done
// before, and progress hears about it.
func Ensure(ctx context.Context, root, assets string, progress io.Writer) (string, error) {
	if assets != "" {
		return given(assets)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	pin, err := readPin(absolute)
	if err != nil {
		return "", err
	}
	lock, err := lockfile.Acquire(ctx, filepath.Join(absolute, ".cache", "kubernetes", "lock"), func(holder string) {
		_, _ = fmt.Fprintf(progress, "waiting for process %s, which builds the control plane\n", holder)
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Release() }() // The end of the process releases it at the latest.

	if pin.built() {
		return pin.folder(), nil
	}
	if err := pin.build(ctx, progress); err != nil {
		return "", err
	}
	return pin.folder(), nil
}

// Has tells whether the folder holds the program.
func Has(folder, program string) bool {
	info, err := os.Stat(filepath.Join(folder, program))
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func given(assets string) (string, error) {
	folder, err := filepath.Abs(assets)
	if err != nil {
		return "", fmt.Errorf("find KUBEBUILDER_ASSETS: %w", err)
	}
	var missing []string
	for _, program := range []string{Etcd, APIServer, Kubectl} {
		if !Has(folder, program) {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("KUBEBUILDER_ASSETS=%s: no program %s in that folder: add it, or unset KUBEBUILDER_ASSETS to have all built",
			assets, strings.Join(missing, ", "))
	}
	return folder, nil
}
