// Command local runs a Kubernetes control plane with the Keyturn operator on this machine. It is what the Makefile calls.
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

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/cluster"
	"github.com/keyturn/keyturn/hack/local/gobuild"
)

const usage = `usage: local COMMAND

  up [--without-operator]  start the cluster and return when it is ready
  down                     stop it
  status                   tell what runs
  binaries                 build the control plane; the last line is its folder
  build FILE PACKAGE       build a program of this module, telling how far it is

KUBEBUILDER_ASSETS names a folder with the programs of the control plane to use instead of building them.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("no command\n%s", usage)
	}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	withoutOperator := flags.Bool("without-operator", false, "")
	err := flags.Parse(arguments[1:])
	if errors.Is(err, flag.ErrHelp) {
		_, err = fmt.Fprintln(os.Stdout, usage)
		return err
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	options := cluster.Options{Root: ".", Assets: os.Getenv("KUBEBUILDER_ASSETS"), WithoutOperator: *withoutOperator}

	switch command := arguments[0]; command {
	case "up":
		_, err := cluster.Up(ctx, options, os.Stdout)
		return err
	case "down":
		return cluster.Down(ctx, options, os.Stdout)
	case "status":
		return cluster.Status(ctx, options, os.Stdout)
	case "binaries":
		return provide(ctx, options)
	case "build":
		return build(ctx, flags.Args())
	default:
		return fmt.Errorf("unknown command %q\n%s", command, usage)
	}
}

// provide leaves the standard output to the folder, so that a Makefile can take it.
func provide(ctx context.Context, options cluster.Options) error {
	folder, err := binaries.Ensure(ctx, options.Root, options.Assets, os.Stderr)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, folder)
	return err
}

func build(ctx context.Context, arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf("build wants a file and a package\n%s", usage)
	}
	return gobuild.Build{
		What:     arguments[1],
		Folder:   ".",
		Flags:    []string{"-buildvcs=false"},
		Packages: arguments[1:],
		Output:   arguments[0],
	}.Run(ctx, os.Stderr)
}
