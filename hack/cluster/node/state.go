package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/keyturn/keyturn/hack/cluster/network"
	"github.com/keyturn/keyturn/hack/local/process"
)

// state describes a cluster that came up; it is written last, so a file that is there means a cluster that was complete.
type state struct {
	Network network.Plan `json:"network"`
}

func (s state) write(path string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return writeFile(path, content)
}

var errNotUp = errors.New("no cluster of this folder is up: `make cluster-up` starts one")

// find returns the plan of the cluster that is up.
func find(ctx context.Context, options Options) (plan, error) {
	if err := requireRoot(runtime.GOOS, os.Geteuid()); err != nil {
		return plan{}, err
	}
	l, err := newLayout(options.Root)
	if err != nil {
		return plan{}, err
	}
	return described(ctx, l)
}

func described(ctx context.Context, l layout) (plan, error) {
	content, err := os.ReadFile(l.state())
	if err != nil {
		return plan{}, errNotUp
	}
	var read state
	if err := json.Unmarshal(content, &read); err != nil {
		return plan{}, errNotUp
	}
	identity, err := process.ReadFile(l.identity(machineName))
	if err != nil {
		return plan{}, errNotUp
	}
	alive, err := identity.Alive(ctx)
	if err != nil {
		return plan{}, err
	}
	if !alive {
		return plan{}, errNotUp
	}
	return plan{layout: l, network: read.Network, machine: identity.PID}, nil
}

// isUp tells whether a cluster came up and all of its programs still run.
func isUp(ctx context.Context, l layout) (bool, error) {
	if _, err := described(ctx, l); err != nil {
		return false, ignoreNotUp(err)
	}
	for _, name := range components() {
		_, alive, err := lookUp(ctx, l, name)
		if err != nil || !alive {
			return false, err
		}
	}
	return true, nil
}

func ignoreNotUp(err error) error {
	if errors.Is(err, errNotUp) {
		return nil
	}
	return err
}

// lookUp finds the process of a component. A record that cannot be read was never finished, and a process runs only when
// its record is.
func lookUp(ctx context.Context, l layout, name string) (identity process.Identity, alive bool, err error) {
	identity, err = process.ReadFile(l.identity(name))
	if err != nil {
		return process.Identity{}, false, nil //nolint:nilerr // See above: no readable record, no process.
	}
	alive, err = identity.Alive(ctx)
	return identity, alive, err
}
