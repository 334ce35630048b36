// Package gobuild builds Go programs and tells how far it is: a cold build of a Kubernetes API server takes minutes.
package gobuild

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	reportInterval = 10 * time.Second
	// interruptGrace is how long the go command may take to stop the compilers it started.
	interruptGrace = 5 * time.Second
)

// Build is one call of `go build`.
type Build struct {
	// What names the build in progress and errors, as in "the control plane".
	What string
	// Folder is the folder of the module to build in.
	Folder string
	// Environment is added to that of the launcher, as in "CGO_ENABLED=0".
	Environment []string
	// Flags are build flags.
	Flags []string
	// Packages are the main packages to build.
	Packages []string
	// Output is a file for one package; for several it is a folder and ends with a slash.
	Output string
}

// Run builds. Every ten seconds it writes one line to progress: how many packages are compiled, of how many, and for how
// long it has run. A build that takes less writes nothing.
func (b Build) Run(ctx context.Context, progress io.Writer) error {
	meter := newMeter(b.What, progress)
	reporting, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		meter.report(reporting, reportInterval)
	}()
	defer func() {
		stop()
		<-done
	}()

	if err := b.countPackages(ctx, meter); err != nil {
		return err
	}
	arguments := slices.Concat([]string{"build", "-v"}, b.Flags, []string{"-o", b.Output}, b.Packages)
	if err := b.goCommand(ctx, meter, arguments).Run(); err != nil {
		return b.failed(ctx, meter, err)
	}
	return nil
}

// countPackages asks for what is not in the build cache yet, and thereby downloads the modules that are missing. A main
// package always counts as stale, because its program is not installed; it is left out.
func (b Build) countPackages(ctx context.Context, meter *meter) error {
	arguments := slices.Concat([]string{"list", "-deps", "-f", `{{if and .Stale (ne .Name "main")}}{{.ImportPath}}{{end}}`}, b.Flags, b.Packages)
	list := b.goCommand(ctx, meter, arguments)
	var stale strings.Builder
	list.Stdout = &stale
	if err := list.Run(); err != nil {
		return b.failed(ctx, meter, err)
	}
	meter.setTotal(len(strings.Fields(stale.String())))
	return nil
}

func (b Build) goCommand(ctx context.Context, meter *meter, arguments []string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = b.Folder
	command.Env = append(os.Environ(), b.Environment...)
	command.Stderr = meter
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = interruptGrace
	return command
}

func (b Build) failed(ctx context.Context, meter *meter, cause error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build %s: %w", b.What, context.Cause(ctx))
	}
	return fmt.Errorf("build %s: %w\n%s", b.What, cause, meter.messages())
}
