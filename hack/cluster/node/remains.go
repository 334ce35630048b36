package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/hack/cluster/network"
	"github.com/keyturn/keyturn/hack/local/process"
)

// Remains writes to out whatever there is of a cluster besides its logs: processes, mounts, the network device, control
// groups and files. It returns an error if there is anything.
func Remains(ctx context.Context, options Options, out io.Writer) error {
	l, err := newLayout(options.Root)
	if err != nil {
		return err
	}
	var all []string
	for _, look := range []func(context.Context, layout) ([]string, error){
		remainingProcesses, remainingMounts, remainingDevice, remainingGroups, remainingFiles,
	} {
		found, err := look(ctx, l)
		if err != nil {
			return fmt.Errorf("look for what remains of the cluster: %w", err)
		}
		all = append(all, found...)
	}
	for _, found := range all {
		say(out, "%s", found)
	}
	if len(all) > 0 {
		return fmt.Errorf("%d things of the cluster are there; `make cluster-down` removes them", len(all))
	}
	return nil
}

func remainingProcesses(ctx context.Context, l layout) ([]string, error) {
	var found []string
	for _, name := range components() {
		identity, alive, err := lookUp(ctx, l, name)
		if err != nil {
			return nil, err
		}
		if alive {
			found = append(found, fmt.Sprintf("process %d (%s)", identity.PID, name))
		}
	}
	inside, err := networkUsers(ctx, l)
	for _, user := range inside {
		found = append(found, fmt.Sprintf("process %d (%s) in the network of the cluster", user.PID, commandOf(user.PID)))
	}
	if err != nil {
		return nil, err
	}
	groups, err := groups(l.name())
	for _, group := range groups {
		pids, failed := members(group)
		err = errors.Join(err, failed)
		for _, pid := range pids {
			found = append(found, fmt.Sprintf("process %s in the control group %s", pid, group))
		}
	}
	return found, err
}

func remainingMounts(_ context.Context, l layout) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // Not Linux, so nothing was mounted.
	}
	if err != nil {
		return nil, err
	}
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		const mountPoint = 4
		if fields := strings.Fields(lines.Text()); len(fields) > mountPoint && strings.HasPrefix(fields[mountPoint], l.file()+"/") {
			found = append(found, "mount "+fields[mountPoint])
		}
	}
	return found, errors.Join(lines.Err(), file.Close())
}

func remainingDevice(_ context.Context, l layout) ([]string, error) {
	connected, err := network.Connected(l.name())
	if err != nil || !connected {
		return nil, err
	}
	return []string{"network device " + network.HostDevice(l.name())}, nil
}

func remainingGroups(_ context.Context, l layout) ([]string, error) {
	found, err := groups(l.name())
	for i, group := range found {
		found[i] = "control group " + group
	}
	return found, err
}

func remainingFiles(_ context.Context, l layout) ([]string, error) {
	var found []string
	entries, err := os.ReadDir(l.file())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if !outlives(entry.Name()) {
			found = append(found, "file "+l.file(entry.Name()))
		}
	}
	return found, err
}

// networkUsers returns the processes in the network of the cluster, however they came there: no other one has its device.
func networkUsers(ctx context.Context, l layout) ([]process.Identity, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var users []process.Identity
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			return nil, err
		}
		identity, err := process.Identify(ctx, pid)
		if errors.Is(err, process.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		devices, err := os.ReadFile(filepath.Join(folder, "net", "dev"))
		if err == nil && strings.Contains(string(devices), network.NodeDevice(l.name())+":") {
			users = append(users, identity)
		}
	}
	return users, nil
}

func commandOf(pid int) string {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "it has just ended"
	}
	return strings.TrimSpace(string(command))
}
