// Package cluster runs a Kubernetes control plane and the Keyturn operator on this machine, for development and for the
// demo: etcd, kube-apiserver, kube-controller-manager and the operator as background processes on the loopback address.
// It needs neither root nor containers. Everything it writes lies in one folder, .run of the repository if no other is named.
package cluster

import (
	"context"
	"fmt"
	"io"

	"github.com/keyturn/keyturn/hack/local/lockfile"
	"github.com/keyturn/keyturn/hack/local/process"
)

// Options tell which cluster is meant.
type Options struct {
	// Root is the top folder of the repository.
	Root string
	// Folder is where everything that the cluster writes lies; .run of Root if it is empty.
	Folder string
	// Assets is a folder with the programs of the control plane, the value of KUBEBUILDER_ASSETS. When it is empty they are
	// built from source.
	Assets string
	// WithoutOperator leaves the operator out, for those who run it themselves under a debugger.
	WithoutOperator bool
	// WithoutControllerManager leaves out what else would work while something is measured: no garbage is collected.
	WithoutControllerManager bool
}

// Cluster tells how to use a cluster that is up.
type Cluster struct {
	// Kubeconfig is the file with the credentials of its administrator.
	Kubeconfig string
	// Kubectl is a kubectl of the same version.
	Kubectl string
	// Server is the URL of the API server.
	Server string
	// OperatorKubeconfig is the file with the operator's credentials.
	OperatorKubeconfig string
	// Webhook, HTTPS, Metrics and Health are the addresses at which the operator is expected.
	Webhook, HTTPS, Metrics, Health string
	// Started is false when the cluster was up before.
	Started bool
	// Programs are its programs by name, the operator also if it was left out, for who kills one and starts it again. There are
	// none when the cluster was up before.
	Programs map[string]process.Program
}

func newCluster(l layout, s state) Cluster {
	return Cluster{
		Kubeconfig: l.kubeconfig(), Kubectl: l.kubectl(), Server: httpsURL(s.Ports.Server), OperatorKubeconfig: l.operatorKubeconfig(),
		Webhook: address(s.Ports.Webhook), HTTPS: address(s.Ports.HTTPS), Metrics: address(s.Ports.Metrics), Health: address(s.Ports.Health),
	}
}

// locked runs one change to the cluster at a time.
func locked(ctx context.Context, options Options, out io.Writer, change func(layout) error) (err error) {
	l, err := newLayout(options)
	if err != nil {
		return err
	}
	lock, err := lockfile.Acquire(ctx, l.lock(), func(holder string) {
		say(out, "Waiting for process %s, which is changing the cluster.", holder)
	})
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // The end of the process releases it at the latest.
	return change(l)
}

// say writes one line for the user. When nobody can read it any more there is nobody to tell either.
func say(out io.Writer, format string, arguments ...any) {
	_, _ = fmt.Fprintf(out, format+"\n", arguments...)
}
