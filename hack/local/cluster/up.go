package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/gobuild"
)

// Up returns when the cluster is up and an apply of a SigningKey would succeed. It writes to out what it does and how to
// use the cluster. A cluster that is up already stays as it is; one of which a part has died is cleared and started anew.
// When Up fails, or when ctx ends before it is done, nothing of the cluster is left running; its logs stay in .run/log.
func Up(ctx context.Context, options Options, out io.Writer) (Cluster, error) {
	assets, err := binaries.Ensure(ctx, options.Root, options.Assets, out)
	if err != nil {
		return Cluster{}, err
	}
	var result Cluster
	err = locked(ctx, options, out, func(l layout) error {
		previous, err := inspect(ctx, l)
		if err != nil {
			return err
		}
		if previous.running() {
			result = newCluster(l, previous.state)
			return resume(ctx, l, previous.state, options, out)
		}
		if err := previous.clear(ctx, l, out); err != nil {
			return err
		}
		plan, started, err := startAnew(ctx, l, assets, options, out)
		result = newCluster(l, started)
		result.Started, result.Programs = true, plan.programs()
		return err
	})
	if err != nil {
		return Cluster{}, fmt.Errorf("bring the cluster up: %w", err)
	}
	return result, nil
}

// resume reports on a cluster whose processes all run.
func resume(ctx context.Context, l layout, s state, options Options, out io.Writer) error {
	if s.has(operatorName) == options.WithoutOperator {
		return errors.New("a cluster is running, but it was started the other way, with or without the operator: " +
			"stop it first with `make down`")
	}
	if err := answers(ctx, l, s, answerTimeout); err != nil {
		return fmt.Errorf("a cluster is running but does not answer; `make down` and `make up` give a new one: %w", err)
	}
	say(out, "The cluster is already running.")
	explain(out, l, s)
	return nil
}

func startAnew(ctx context.Context, l layout, assets string, options Options, out io.Writer) (p plan, started state, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, giveUp(ctx, l))
		}
	}()
	if err := errors.Join(os.RemoveAll(l.logs()), os.MkdirAll(filepath.Dir(l.operator()), 0o700), os.MkdirAll(l.tokenStore(), 0o700)); err != nil {
		return plan{}, state{}, fmt.Errorf("prepare the cluster's folder: %w", err)
	}
	if err := os.Symlink(filepath.Join(assets, binaries.Kubectl), l.kubectl()); err != nil {
		return plan{}, state{}, fmt.Errorf("link kubectl: %w", err)
	}
	if !options.WithoutOperator {
		if err := buildOperator(ctx, l, out); err != nil {
			return plan{}, state{}, err
		}
	}
	if p, err = newPlan(ctx, l, assets); err != nil {
		return plan{}, state{}, err
	}
	if started, err = launch(ctx, p, options, out); err != nil {
		return plan{}, state{}, err
	}
	if err := started.write(l.state()); err != nil {
		return plan{}, state{}, err
	}
	explain(out, l, started)
	if options.WithoutOperator {
		explainOperator(out, p)
	}
	return p, started, nil
}

// giveUp stops what was started, also when the user has interrupted the start.
func giveUp(ctx context.Context, l layout) error {
	ctx = context.WithoutCancel(ctx)
	if _, err := stopAll(ctx, l); err != nil {
		return err
	}
	return l.clear()
}

func buildOperator(ctx context.Context, l layout, out io.Writer) error {
	say(out, "Building the operator.")
	return gobuild.Build{
		What:   "operator",
		Folder: l.root,
		// The version control system is not asked: a checkout of another owner would fail.
		Flags:    []string{"-buildvcs=false"},
		Packages: []string{"./cmd/keyturn"},
		Output:   l.operator(),
	}.Run(ctx, out)
}

func newPlan(ctx context.Context, l layout, assets string) (plan, error) {
	ports, err := choosePorts(ctx, preferredServerPort)
	if err != nil {
		return plan{}, err
	}
	credentials, err := createCredentials(l, httpsURL(ports.Server))
	if err != nil {
		return plan{}, err
	}
	return plan{layout: l, assets: assets, ports: ports, credentials: credentials}, nil
}
