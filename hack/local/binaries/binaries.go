// Package binaries provides the programs of Kubernetes: those of a control plane (etcd, kube-apiserver,
// kube-controller-manager and kubectl), and those that a node needs besides (kubelet, kube-proxy, kube-scheduler and CoreDNS).
//
// They are built from the Go modules in hack/kubernetes and hack/coredns, once, because no other download than Go modules is
// needed that way.
package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The names of the programs.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Kubectl           = "kubectl"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
	CoreDNS           = "coredns"
)

// Ensure returns the folder that holds the programs of the control plane.
//
// When assets, the value of KUBEBUILDER_ASSETS, is not empty, it is that folder and nothing is built. It must hold etcd,
// kube-apiserver and kubectl, as envtest wants; kube-controller-manager may be missing there, because the usual envtest
// archives have none. Otherwise the programs are built below the folder root of the repository, unless that was done
// before, and progress hears about it.
func Ensure(ctx context.Context, root, assets string, progress io.Writer) (string, error) {
	if assets != "" {
		return given(assets)
	}
	return ensure(ctx, root, pin.controlPlane, progress)
}

// EnsureNode returns the folder that holds the programs of a node. They are built below the folder root of the repository,
// unless that was done before, and progress hears about it.
func EnsureNode(ctx context.Context, root string, progress io.Writer) (string, error) {
	return ensure(ctx, root, pin.node, progress)
}

func ensure(ctx context.Context, root string, choose func(pin) set, progress io.Writer) (string, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	pin, err := readPin(absolute)
	if err != nil {
		return "", err
	}
	return choose(pin).ensure(ctx, pin.lock(), progress)
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
