package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/hack/cluster/machine"
)

// Exec replaces this program by another that runs beside the cluster: in its network, with its name server.
func Exec(ctx context.Context, options Options, arguments []string) error {
	running, err := find(ctx, options)
	if err != nil {
		return err
	}
	return machine.Exec(running.machine, running.layout.resolver(), arguments)
}

// PID writes the process ID, on the host, of the first process of a pod's first container.
func PID(ctx context.Context, options Options, namespace, pod string, out io.Writer) error {
	running, err := find(ctx, options)
	if err != nil {
		return err
	}
	id, err := running.layout.client().Output(ctx, nil, "get", "pod", pod, "--namespace="+namespace, "--output=jsonpath={.status.containerStatuses[0].containerID}")
	if err != nil {
		return err
	}
	_, id, found := strings.Cut(id, "://")
	if !found {
		return fmt.Errorf("pod %s/%s has no container yet", namespace, pod)
	}
	pid, err := firstProcess(running.layout, id)
	if err != nil {
		return fmt.Errorf("find the process of pod %s/%s: %w", namespace, pod, err)
	}
	_, err = fmt.Fprintln(out, pid)
	return err
}

// firstProcess finds the process, in the control group of the container, that the container started with.
func firstProcess(l layout, container string) (pid string, err error) {
	found, err := groups(l.name())
	if err != nil {
		return "", err
	}
	for _, group := range found {
		folders, err := subgroups(group)
		if err != nil {
			return "", err
		}
		for _, folder := range folders {
			if filepath.Base(folder) != container {
				continue
			}
			pids, err := members(folder)
			if err != nil {
				return "", err
			}
			if i := slices.IndexFunc(pids, isFirst); i >= 0 {
				return pids[i], nil
			}
		}
	}
	return "", fmt.Errorf("nothing runs in container %s", container)
}

// isFirst tells whether the process is the first one of its own namespace.
func isFirst(pid string) bool {
	content, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		if ids, found := strings.CutPrefix(line, "NSpid:"); found {
			fields := strings.Fields(ids)
			return fields[len(fields)-1] == "1"
		}
	}
	return false
}

func explain(l layout, out io.Writer) error {
	say(out, `
A cluster of one node is up. To use it:

  export KUBECONFIG=%q
  export PATH="%s:$PATH"
  kubectl get pods -A

Load an image:            .cache/bin/cluster load ARCHIVE...
A program beside it:      .cache/bin/cluster exec -- curl https://NAME.NAMESPACE.svc
Who may log in to it:     %s (read again when it changes)
Logs, and an audit log:   %s
Stop it:                  make cluster-down

NetworkPolicies are accepted but not enforced.`, l.kubeconfig(), l.programs(), l.authentication(), l.logs())
	return nil
}
