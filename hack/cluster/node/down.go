package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/keyturn/keyturn/hack/cluster/network"
	"github.com/keyturn/keyturn/hack/local/process"
)

// stopGrace is how long a program may take to end by itself.
const stopGrace = 5 * time.Second

// Down returns when nothing of the cluster is left but its logs, in .run/cluster/log. It is no error when nothing was there.
func Down(ctx context.Context, options Options, out io.Writer) error {
	l, err := newLayout(options.Root)
	if err != nil {
		return err
	}
	if _, err := os.Stat(l.file()); os.IsNotExist(err) {
		say(out, "No cluster was up.")
		return nil
	}
	if err := requireRoot(runtime.GOOS, os.Geteuid()); err != nil {
		return err
	}
	err = locked(ctx, l, out, func() error {
		found, err := takeDown(ctx, l, out)
		if err != nil {
			return err
		}
		if !found {
			say(out, "No cluster was up.")
			return nil
		}
		say(out, "The cluster is down; its logs are in %s.", l.logs())
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the cluster down: %w", err)
	}
	return nil
}

// takeDown removes whatever there is of a cluster but its logs, and tells whether there was one.
func takeDown(ctx context.Context, l layout, out io.Writer) (found bool, err error) {
	_, err = os.Stat(l.file("pid"))
	found = err == nil
	if err := stopComponents(ctx, l); err != nil {
		return found, err
	}
	if err := stopNetworkUsers(ctx, l, out); err != nil {
		return found, err
	}
	if err := network.Disconnect(ctx, l.name()); err != nil {
		return found, err
	}
	if err := removeGroups(ctx, l.name()); err != nil {
		return found, err
	}
	return found, l.clear()
}

// stopComponents ends the machine first: all other processes, the mounts and the network of the cluster end with it. That
// includes every container, so there is no need to delete pods one by one.
func stopComponents(ctx context.Context, l layout) error {
	for _, name := range components() {
		identity, alive, err := lookUp(ctx, l, name)
		if err == nil && alive {
			err = process.Stop(ctx, identity, stopGrace)
		}
		if err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
	}
	return nil
}

// stopNetworkUsers ends what Exec had started and nobody has stopped.
func stopNetworkUsers(ctx context.Context, l layout, out io.Writer) error {
	users, err := networkUsers(ctx, l)
	if err != nil {
		return err
	}
	for _, user := range users {
		say(out, "Stopping process %d (%s), which still ran in the network of the cluster.", user.PID, commandOf(user.PID))
		if err := process.Stop(ctx, user, stopGrace); err != nil {
			return err
		}
	}
	return nil
}
