// Command demo shows Keyturn at work: it brings a control plane up, declares keys that rotate within seconds and tokens
// that live for seconds, and lets independent verifiers judge every token from its issue to its expiry.
//
// It exits with 0 only if at least one key rotated and no verification failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/hack/local/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	duration := flag.Duration("duration", 2*time.Minute, "how long the demo runs, at least 20s")
	flag.Parse()
	err := run(ctx, *duration, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

var errFailed = errors.New("the promise was not kept, or no key rotated: see the timeline above")

func run(ctx context.Context, duration time.Duration, out io.Writer) error {
	const shortest = 20 * time.Second
	if duration < shortest {
		return fmt.Errorf("-duration=%s: must be at least %s, because the first key signs for %s", duration, shortest, period)
	}
	log.SetLogger(log.Log.WithSink(nil))
	options := cluster.Options{Root: ".", Assets: os.Getenv("KUBEBUILDER_ASSETS")}
	local, err := cluster.Up(ctx, options, out)
	if err != nil {
		return err
	}
	total, err := show(ctx, local, duration, out)
	if downErr := takeDown(ctx, options, local, out); downErr != nil {
		err = errors.Join(err, downErr)
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, total)
	if total.rotations < 1 || total.verifications < 1 || total.refreshed < 1 || total.presented < 1 || total.failures > 0 {
		return errFailed
	}
	return nil
}

// takeDown stops the cluster also after an interrupt. One that was running before stays.
func takeDown(ctx context.Context, options cluster.Options, local cluster.Cluster, out io.Writer) error {
	if !local.Started {
		return nil
	}
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return cluster.Down(ctx, options, out)
}

// show runs the scenario until the time is over or the user interrupts it.
func show(ctx context.Context, local cluster.Cluster, duration time.Duration, out io.Writer) (total, error) {
	config, err := clientcmd.BuildConfigFromFlags("", local.Kubeconfig)
	if err != nil {
		return total{}, fmt.Errorf("read kubeconfig: %w", err)
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: newScheme()})
	if err != nil {
		return total{}, fmt.Errorf("make client: %w", err)
	}
	if err := declare(ctx, api, out); err != nil {
		return total{}, err
	}
	defer withdraw(context.WithoutCancel(ctx), api)
	timed, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	return observe(timed, api, out)
}
