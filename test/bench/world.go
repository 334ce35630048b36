package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/cluster"
	"github.com/keyturn/keyturn/hack/local/gobuild"
)

// Size is how much is measured.
type Size string

// The sizes: Full is what docs/performance.md shows, Quick takes minutes, Tiny only keeps the program working.
const (
	Full  Size = "full"
	Quick Size = "quick"
	Tiny  Size = "tiny"
)

// Of chooses the number for this size.
func (s Size) Of(full, quick, tiny int) int {
	switch s {
	case Tiny:
		return tiny
	case Quick:
		return quick
	default:
		return full
	}
}

// operatorProgram is where the operator is built.
const operatorProgram = ".cache/bin/keyturn"

// World is what a scenario works with.
type World struct {
	Size  Size
	Clock clock.WithTicker
	// Plane is the control plane; nil for scenarios that need none.
	Plane *Plane

	out     io.Writer
	started time.Time
	assets  string
	// profiles is where profiles are written; empty for nowhere.
	profiles string
}

// Say tells whoever waits how far it is.
func (w *World) Say(format string, arguments ...any) {
	_, _ = fmt.Fprintf(w.out, "%6.1fs  %s\n", w.Clock.Since(w.started).Seconds(), fmt.Sprintf(format, arguments...))
}

// Plane is a control plane that was started for one scenario, with the CRDs, roles and webhooks of Keyturn, and no operator.
type Plane struct {
	// Admin is the access of its administrator, who is not limited; for whoever prepares and looks.
	Admin *rest.Config
	// Client is the administrator's, without a cache.
	Client client.WithWatch
	// Operator is the access that the operator has; the floor uses it too.
	Operator *rest.Config

	clock   clock.PassiveClock
	cluster local
	options cluster.Options
}

// unlimited lets a client ask as often as it wants: what limits it here is the API server.
func unlimited(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	return config
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// build makes what is measured.
func (w *World) build(ctx context.Context) error {
	err := gobuild.Build{
		What: "operator", Folder: ".", Flags: []string{"-buildvcs=false"}, Packages: []string{"./cmd/keyturn"}, Output: operatorProgram,
	}.Run(ctx, w.out)
	if err != nil {
		return fmt.Errorf("build operator: %w", err)
	}
	w.assets, err = binaries.Ensure(ctx, ".", os.Getenv("KUBEBUILDER_ASSETS"), w.out)
	return err
}

// errRunning says that there is a control plane already, with who knows what in it.
var errRunning = errors.New("a local control plane is running in this checkout: stop it first with `make down`")

// startPlane starts a control plane. Its controller manager is left out: what it collects and reconciles would be measured too.
func (w *World) startPlane(ctx context.Context) error {
	options := cluster.Options{Root: ".", Assets: w.assets, WithoutOperator: true, WithoutControllerManager: true}
	up, err := cluster.Up(ctx, options, io.Discard)
	if err != nil {
		return err
	}
	if !up.Started {
		return errRunning
	}
	local := newLocal(up)
	plane := &Plane{clock: w.Clock, cluster: local, options: options}
	w.Plane = plane
	if plane.Admin, err = access(local.Kubeconfig); err != nil {
		return err
	}
	if plane.Operator, err = access(local.Operator.Kubeconfig); err != nil {
		return err
	}
	if plane.Client, err = client.NewWithWatch(plane.Admin, client.Options{Scheme: newScheme()}); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	return nil
}

func access(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return unlimited(config), nil
}

// stopPlane also stops an operator that still runs, and works after an interrupt.
func (w *World) stopPlane(ctx context.Context) error {
	if w.Plane == nil {
		return nil
	}
	plane := w.Plane
	w.Plane = nil
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return cluster.Down(ctx, plane.options, io.Discard)
}
