package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn/test/simulation/mutations"
)

// mutate breaks the source in each way that testdata/mutations.txt lists, plays worlds until one is broken, and prints which
// invariant and how many seeds it took. The checkout is not touched: the compiler reads the broken file in its place.
func mutate(ctx context.Context, o options) error {
	all, err := mutations.Read("test/simulation/testdata/mutations.txt")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "keyturn-mutations-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	missed := 0
	table := log.New(os.Stdout, "", 0)
	table.Printf("%-90s %-32s %s", "mutation", "invariant", "seeds needed")
	for _, m := range all {
		if !strings.Contains(m.Sentence, o.only) {
			continue
		}
		found, err := tryMutation(ctx, o, m, folder)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Sentence, err)
		}
		if found.Invariant == "" {
			missed++
			found.Invariant = "NOT FOUND"
		}
		table.Printf("%-90s %-32s %d", m.Sentence, found.Invariant, found.Seeds)
	}
	if missed > 0 {
		return fmt.Errorf("%d mutations are not found", missed)
	}
	return nil
}

// finding is what a broken program has found out about itself.
type finding struct {
	Invariant string `json:"invariant"`
	Seeds     uint64 `json:"seeds"`
}

// tryMutation builds this program with the broken source, and lets it play.
func tryMutation(ctx context.Context, o options, m mutations.Mutation, folder string) (finding, error) {
	overlay, err := m.Overlay(folder)
	if err != nil {
		return finding{}, err
	}
	program := filepath.Join(folder, "sim")
	//nolint:gosec // The words are this program's own.
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-ldflags=-s -w", "-buildvcs=false", "-o", program, "./test/simulation/sim")
	if out, err := build.CombinedOutput(); err != nil {
		return finding{}, fmt.Errorf("build: %w\n%s", err, out)
	}
	//nolint:gosec // As above.
	play := exec.CommandContext(ctx, program, "-first", fmt.Sprint("-seeds=", o.seeds), fmt.Sprint("-seed=", o.seed), fmt.Sprint("-workers=", o.workers))
	play.Stderr = os.Stderr
	out, err := play.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return finding{}, err
	}
	var found finding
	return found, json.Unmarshal(out, &found)
}
