package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keyturn/keyturn/hack/cluster/machine"
	"github.com/keyturn/keyturn/hack/cluster/network"
	"github.com/keyturn/keyturn/hack/cluster/packages"
	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/process"
	"github.com/keyturn/keyturn/hack/local/ready"
)

// startTimeout is for one step on a slow and busy machine.
const startTimeout = 2 * time.Minute

// Up returns when the cluster is up and its node runs pods. It writes to out what it does and how to use the cluster. A
// cluster that is up already stays as it is; one of which a part has died is cleared and started anew. When Up fails, or
// when ctx ends before it is done, nothing of the cluster is left; its logs stay in .run/cluster/log.
func Up(ctx context.Context, options Options, out io.Writer) error {
	if err := requireRoot(runtime.GOOS, os.Geteuid()); err != nil {
		return err
	}
	l, err := newLayout(options.Root)
	if err != nil {
		return err
	}
	if err := installPackages(ctx, options, out); err != nil {
		return err
	}
	controlPlane, err := binaries.Ensure(ctx, options.Root, "", out)
	if err != nil {
		return err
	}
	node, err := binaries.EnsureNode(ctx, options.Root, out)
	if err != nil {
		return err
	}
	err = locked(ctx, l, out, func() error {
		running, err := isUp(ctx, l)
		if err != nil {
			return err
		}
		if running {
			say(out, "The cluster is already up.")
			return explain(l, out)
		}
		found, err := takeDown(ctx, l, out)
		if err != nil {
			return err
		}
		if found {
			say(out, "Removed an earlier cluster, of which a part had died.")
		}
		return startAnew(ctx, l, controlPlane, node, out)
	})
	if err != nil {
		return fmt.Errorf("bring the cluster up: %w", err)
	}
	return nil
}

func installPackages(ctx context.Context, options Options, out io.Writer) error {
	missing := packages.Missing("/")
	if len(missing) > 0 && options.Install {
		if err := packages.Install(ctx, "/", missing, out); err != nil {
			return err
		}
		missing = packages.Missing("/")
	}
	if len(missing) > 0 {
		return packages.MissingError(missing)
	}
	return nil
}

func startAnew(ctx context.Context, l layout, controlPlane, node string, out io.Writer) (err error) {
	defer func() {
		if err != nil {
			// Also when the user has interrupted the start.
			_, failed := takeDown(context.WithoutCancel(ctx), l, out)
			err = errors.Join(err, failed)
		}
	}()
	if err := prepareFolder(l, controlPlane); err != nil {
		return err
	}
	ctx, start, stop := process.Watch(ctx)
	defer stop()
	plan, err := startMachine(ctx, l, controlPlane, node, start, out)
	if err != nil {
		return err
	}
	if err := errors.Join(createCredentials(plan), writeConfiguration(plan), createGroups(l.name())); err != nil {
		return err
	}
	if err := launch(ctx, plan, start, out); err != nil {
		return err
	}
	if err := (state{Network: plan.network}).write(l.state()); err != nil {
		return err
	}
	return explain(l, out)
}

func prepareFolder(l layout, controlPlane string) error {
	if err := os.RemoveAll(l.logs()); err != nil {
		return fmt.Errorf("remove older logs: %w", err)
	}
	for _, folder := range []string{l.logs(), l.file(machine.Data), l.programs()} {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return fmt.Errorf("create folder of the cluster: %w", err)
		}
	}
	if err := writeResolver(l, ""); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(controlPlane, binaries.Kubectl), l.kubectl()); err != nil {
		return fmt.Errorf("link kubectl: %w", err)
	}
	return nil
}

// startMachine makes the namespaces and their network.
func startMachine(ctx context.Context, l layout, controlPlane, node string, start func(process.Program) error, out io.Writer) (plan, error) {
	say(out, "[1/5] Making namespaces and a network.")
	program, err := machineProgram(l, controlPlane, node)
	if err != nil {
		return plan{}, err
	}
	if err := start(program); err != nil {
		return plan{}, err
	}
	made := ready.Question{What: "the machine", LogFile: l.log(machineName), Ask: func(context.Context) error {
		_, err := os.Stat(l.ready())
		return err
	}}
	if err := made.Wait(ctx, startTimeout); err != nil {
		return plan{}, err
	}
	identity, err := process.ReadFile(l.identity(machineName))
	if err != nil {
		return plan{}, err
	}
	addresses, err := network.Connect(ctx, identity.PID, l.name(), machine.Enter(identity.PID))
	if err != nil {
		return plan{}, err
	}
	return plan{layout: l, network: addresses, machine: identity.PID}, nil
}
