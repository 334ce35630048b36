//go:build binaries

// Package kubernetes pins the versions of the control plane that the tests, the demo and `make up` run.
//
// The imports are never compiled (main packages cannot be imported, hence the build tag): they only make
// `go mod tidy` keep the modules. hack/local builds the programs from here.
package kubernetes

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
