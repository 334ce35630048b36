package cluster

import (
	"context"
	"io"

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/process"
)

// launch starts one program after the other, each when those that it needs are ready. The death of any ends the wait.
func launch(ctx context.Context, p plan, options Options, out io.Writer) (state, error) {
	ctx, watched, stop := process.Watch(ctx)
	defer stop()
	started := state{Ports: p.ports}
	start := func(program process.Program) error {
		started.Components = append(started.Components, program.Name)
		return watched(program)
	}

	if err := launchServer(ctx, p, start, out); err != nil {
		return state{}, err
	}
	// The controller manager comes after the API: its garbage collector looks for new kinds only twice a minute.
	if err := install(ctx, p); err != nil {
		return state{}, err
	}
	if !options.WithoutControllerManager {
		if err := launchControllerManager(p, start, out); err != nil {
			return state{}, err
		}
	}
	if !options.WithoutOperator {
		say(out, "Starting the operator.")
		if err := start(p.operator()); err != nil {
			return state{}, err
		}
	}
	return started, answers(ctx, p.layout, started, startTimeout)
}

func launchServer(ctx context.Context, p plan, start func(process.Program) error, out io.Writer) error {
	say(out, "Starting etcd and kube-apiserver.")
	if p.ports.Server != preferredServerPort {
		say(out, "Port %d is taken: kube-apiserver listens on %d.", preferredServerPort, p.ports.Server)
	}
	if err := start(p.etcd()); err != nil {
		return err
	}
	if err := start(p.apiServer()); err != nil {
		return err
	}
	return serverQuestion(p.layout).Wait(ctx, startTimeout)
}

func launchControllerManager(p plan, start func(process.Program) error, out io.Writer) error {
	if !binaries.Has(p.assets, binaries.ControllerManager) {
		say(out, "There is no kube-controller-manager in %s, so this cluster has none: no ServiceAccounts are created and\n"+
			"nothing is garbage collected. Add the program to that folder, or unset KUBEBUILDER_ASSETS to have all built.", p.assets)
		return nil
	}
	say(out, "Starting kube-controller-manager.")
	return start(p.controllerManager())
}
