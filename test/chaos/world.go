package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/hack/local/cluster"
	"github.com/keyturn/keyturn/hack/local/gobuild"
	"github.com/keyturn/keyturn/hack/local/port"
	"github.com/keyturn/keyturn/hack/local/process"
	"github.com/keyturn/keyturn/test/chaos/front"
	"github.com/keyturn/keyturn/test/chaos/judge"
	"github.com/keyturn/keyturn/test/controlplane"
)

// folder is where everything lies that a run writes, so that it can be beside the control plane of make up.
const folder = ".run/chaos"

// world is what faults are done to.
type world struct {
	options  cluster.Options
	local    cluster.Cluster
	api      client.Client
	clock    clock.WithTicker
	judge    *judge.Judge
	short    bool
	replicas []*replica
	// webhook and https lead to a replica that is ready.
	webhook, https *front.Front
	// operations is how many were begun, and starts how often a program of the control plane was.
	operations, starts int
	// finish ends what runs beside the faults, and returns when it has ended.
	finish func()
}

// begin brings a control plane and a replica up, declares keys and tokens, and has them judged from then on.
func begin(ctx context.Context, short bool, out io.Writer) (w *world, err error) {
	w = &world{
		options: cluster.Options{Root: ".", Folder: folder, Assets: os.Getenv("KUBEBUILDER_ASSETS"), WithoutOperator: true},
		clock:   clock.RealClock{}, short: short, finish: func() {},
	}
	if err := stopReplicas(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end(ctx))
		}
	}()
	if w.local, err = cluster.Up(ctx, w.options, io.Discard); err != nil {
		return w, err
	}
	if !w.local.Started {
		return w, errors.New("another run goes on in " + folder)
	}
	build := gobuild.Build{
		What: "operator", Folder: ".", Flags: []string{"-buildvcs=false"}, Packages: []string{"./cmd/keyturn"},
		Output: w.local.Programs[operator].Path,
	}
	if err := build.Run(ctx, out); err != nil {
		return w, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", w.local.Kubeconfig)
	if err != nil {
		return w, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS = -1 // The judge looks often.
	if w.api, err = client.New(config, client.Options{Scheme: controlplane.Scheme()}); err != nil {
		return w, fmt.Errorf("make client: %w", err)
	}
	w.judge = judge.New(w.api, w.clock, declared(), out)
	return w, w.open(ctx)
}

// open starts what every fault finds: one replica, and those who judge.
func (w *world) open(ctx context.Context) error {
	var err error
	if w.webhook, err = front.Listen(ctx, w.local.Webhook); err != nil {
		return err
	}
	if w.https, err = front.Listen(ctx, w.local.HTTPS); err != nil {
		return err
	}
	const each = 3
	addresses, err := freeAddresses(ctx, each+each)
	if err != nil {
		return err
	}
	for i, name := range []string{"a", "b"} {
		r, err := w.newReplica(ctx, name, addresses[i*each:])
		if err != nil {
			return err
		}
		w.replicas = append(w.replicas, r)
	}
	beside, stop := context.WithCancel(ctx)
	w.finish = w.runBeside(beside, stop)
	if err := w.alone(ctx); err != nil {
		return err
	}
	if err := w.declare(ctx); err != nil {
		return err
	}
	return w.rest(ctx)
}

// freeAddresses are all different.
func freeAddresses(ctx context.Context, count int) ([]string, error) {
	var addresses []string
	for range count {
		listener, err := port.Listen(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

func (w *world) runBeside(ctx context.Context, stop func()) (finish func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		go w.lead(ctx)
		w.judge.Run(ctx)
	}()
	return func() {
		stop()
		<-done
	}
}

// end stops everything, also after an interrupt. The logs stay.
func (w *world) end(ctx context.Context) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	w.finish()
	err := stopReplicas(ctx)
	for _, r := range w.replicas {
		err = errors.Join(err, r.proxy.Close())
	}
	for _, f := range []*front.Front{w.webhook, w.https} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return errors.Join(err, cluster.Down(ctx, w.options, io.Discard))
}

// stopReplicas stops those that this run has started, or one before that could not.
func stopReplicas(ctx context.Context) error {
	records, err := filepath.Glob(filepath.Join(folder, "pid", operator+"-*.json"))
	if err != nil {
		return fmt.Errorf("look for replicas: %w", err)
	}
	for _, record := range records {
		identity, err := process.ReadFile(record)
		if err != nil {
			return err
		}
		const grace = 5 * time.Second
		if err := process.Stop(ctx, identity, grace); err != nil {
			return fmt.Errorf("stop a replica: %w", err)
		}
	}
	return nil
}

// patience bounds every wait for the operator. It is never waited for when all is well.
const patience = time.Minute

// eventually waits until check returns nil. Its last error is returned if it never does.
func (w *world) eventually(ctx context.Context, what string, check func(context.Context) error) error {
	const pollEvery = 50 * time.Millisecond
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, patience, true, func(ctx context.Context) (bool, error) {
		once, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		last = check(once)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, last)
	}
	return nil
}

// answerTime is how long one question may take, to whomever.
const answerTime = 5 * time.Second
