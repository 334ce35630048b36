// Package node runs a Kubernetes cluster of one real node on this machine: pods, Services, mounted Secrets, webhooks
// through a Service. It needs Linux and root. Everything of it lives in namespaces of its own (see package machine) and in
// the folder .run/cluster of the repository, so that several checkouts can have clusters at the same time.
package node

import (
	"context"
	"fmt"
	"io"

	"github.com/keyturn/keyturn/hack/local/lockfile"
)

// Options tell which cluster is meant.
type Options struct {
	// Root is the top folder of the repository.
	Root string
	// Install lets Up install Debian packages that are missing.
	Install bool
}

// requireRoot tells who cannot have a cluster.
func requireRoot(system string, user int) error {
	if system != "linux" {
		return fmt.Errorf("a real cluster needs the namespaces of Linux, and this is %s: use a virtual machine with Debian, or `make up`, "+
			"which runs the operator without pods", system)
	}
	if user != 0 {
		return fmt.Errorf("a real cluster needs root, and you are user %d: run this as root, or use `make up`, which runs the operator "+
			"without pods", user)
	}
	return nil
}

// locked runs one change to the cluster at a time.
func locked(ctx context.Context, l layout, out io.Writer, change func() error) error {
	lock, err := lockfile.Acquire(ctx, l.lock(), func(holder string) {
		say(out, "Waiting for process %s, which is changing the cluster.", holder)
	})
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // The end of the process releases it at the latest.
	return change()
}

// say writes one line for the user. When nobody can read it any more there is nobody to tell either.
func say(out io.Writer, format string, arguments ...any) {
	_, _ = fmt.Fprintf(out, format+"\n", arguments...)
}
