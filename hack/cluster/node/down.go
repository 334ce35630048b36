package node

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/keyturn/keyturn/hack/cluster/network"
	"github.com/keyturn/keyturn/hack/local/process"
)

// stopGrace is how long a program may take to end by itself.
const stopGrace = 15 * time.Second

// Down returns when nothing of the cluster is left but its logs, in .run/cluster/log. It is no error when nothing was there.
func Down(ctx context.Context, options Options, out io.Writer) error {
	err := locked(ctx, options.Root, out, func(l layout) error {
		return takeDown(ctx, l, out)
	})
	if err != nil {
		return fmt.Errorf("take the cluster down: %w", err)
	}
	return nil
}

// takeDown ends the machine first: all other processes of the cluster, its mounts and its network end with it.
func takeDown(ctx context.Context, l layout, out io.Writer) error {
	found := false
	for _, name := range components() {
		identity, alive, err := lookUp(ctx, l, name)
		if err != nil {
			return err
		}
		if !alive {
			continue
		}
		found = true
		if err := process.Stop(ctx, identity, stopGrace); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
	}
	if err := network.Disconnect(ctx, l.name()); err != nil {
		return err
	}
	if err := removeGroups(ctx, l.name()); err != nil {
		return err
	}
	if err := l.clear(); err != nil {
		return err
	}
	if found {
		say(out, "The cluster is down; its logs are in %s.", l.logs())
	} else {
		say(out, "No cluster was up.")
	}
	return nil
}
