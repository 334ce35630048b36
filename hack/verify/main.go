// Command verify says whether the tree is as its generators, `go mod tidy` and the formatters would leave it.
//
// It changes nothing: generators run in a temporary copy, the other two only report.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	tools := flag.String("tools", "", "folder of the pinned tools")
	flag.Parse()
	if err := run(*tools); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n", err)
		os.Exit(1)
	}
}

func run(tools string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	absolute, err := filepath.Abs(tools)
	if err != nil {
		return fmt.Errorf("find tools %q: %w", tools, err)
	}
	repository, err := exec.CommandContext(ctx, "git", "rev-parse", "--absolute-git-dir").Output()
	if err != nil {
		return fmt.Errorf("find the git repository: %w", err)
	}
	check := verification{repository: strings.TrimSpace(string(repository)), tools: absolute}
	if check.committed, err = readTree(ctx, check.repository, "."); err != nil {
		return err
	}
	return errors.Join(check.generated(ctx), check.tidy(ctx), check.formatted(ctx))
}

type verification struct {
	repository, tools string // absolute paths
	committed         tree
}

// generated runs `make generate` in a copy of the tree and names every file that it changes there.
func (v verification) generated(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "keyturn-verify-")
	if err != nil {
		return fmt.Errorf("make a folder for the copy: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := v.committed.write(folder); err != nil {
		return err
	}
	if err := command(ctx, folder, "make", "generate", "TOOLS="+v.tools); err != nil {
		return err
	}
	fresh, err := readTree(ctx, v.repository, folder)
	if err != nil {
		return err
	}
	if differing := v.committed.compare(fresh); len(differing) > 0 {
		return fmt.Errorf("generated files are not up to date, run make generate:\n  %s", strings.Join(differing, "\n  "))
	}
	return nil
}

// tidy checks the go.mod and go.sum of every module in the tree.
func (v verification) tidy(ctx context.Context) error {
	var failures []error
	for _, name := range slices.Sorted(maps.Keys(v.committed)) {
		if path.Base(name) != "go.mod" {
			continue
		}
		folder := path.Dir(name)
		if err := command(ctx, folder, "go", "mod", "tidy", "-diff"); err != nil {
			failures = append(failures, fmt.Errorf("%w\n%s is not tidy, run go mod tidy in %s", err, name, folder))
		}
	}
	return errors.Join(failures...)
}

// formatted checks gofumpt and the order of imports, in every module.
func (v verification) formatted(ctx context.Context) error {
	if err := command(ctx, ".", filepath.Join(v.tools, "golangci-lint"), "fmt", "--diff"); err != nil {
		return fmt.Errorf("%w\nGo files are not formatted, run make fmt", err)
	}
	return nil
}

// command runs a program and returns what it printed only when it fails.
func command(ctx context.Context, folder, program string, arguments ...string) error {
	run := exec.CommandContext(ctx, program, arguments...)
	run.Dir = folder
	output, err := run.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%srun %s %s in %s: %w", output, filepath.Base(program), strings.Join(arguments, " "), folder, err)
	}
	return nil
}
