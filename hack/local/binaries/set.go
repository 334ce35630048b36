package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn/hack/local/gobuild"
	"github.com/keyturn/keyturn/hack/local/lockfile"
)

// stampFile lies beside the programs and names the go.mod files that they were built from.
const stampFile = "go.mod.sha256"

// set is a folder of programs that are built together.
type set struct {
	// what tells a user what is built, and how long that takes.
	what     string
	folder   string
	stamp    string
	programs []string
	builds   []gobuild.Build
	// renames gives programs another name than the go command did.
	renames map[string]string
}

// ensure builds the set unless that was done before. Nobody else builds meanwhile.
func (s set) ensure(ctx context.Context, lock string, progress io.Writer) (string, error) {
	held, err := lockfile.Acquire(ctx, lock, func(holder string) {
		_, _ = fmt.Fprintf(progress, "waiting for process %s, which builds the programs of Kubernetes\n", holder)
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = held.Release() }() // The end of the process releases it at the latest.
	if s.built() {
		return s.folder, nil
	}
	return s.folder, s.build(ctx, progress)
}

func (s set) built() bool {
	stamp, err := os.ReadFile(filepath.Join(s.folder, stampFile))
	if err != nil || string(stamp) != s.stamp {
		return false
	}
	for _, program := range s.programs {
		if !Has(s.folder, program) {
			return false
		}
	}
	return true
}

// build fills a folder beside the final one and renames it at the end, so that no half-built folder is ever used.
func (s set) build(ctx context.Context, progress io.Writer) error {
	_, _ = fmt.Fprintf(progress, "Building %s; the result stays in %s.\n", s.what, s.folder)
	unfinished := s.folder + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("clear an interrupted build: %w", err)
	}
	if err := s.compile(ctx, unfinished, progress); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(unfinished, stampFile), []byte(s.stamp), 0o600); err != nil {
		return fmt.Errorf("stamp the built programs: %w", err)
	}
	if err := os.RemoveAll(s.folder); err != nil {
		return fmt.Errorf("remove older programs: %w", err)
	}
	if err := os.Rename(unfinished, s.folder); err != nil {
		return fmt.Errorf("install the built programs: %w", err)
	}
	return nil
}

func (s set) compile(ctx context.Context, folder string, progress io.Writer) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("create folder for programs: %w", err)
	}
	for _, build := range s.builds {
		build.Output = folder + string(filepath.Separator)
		if err := build.Run(ctx, progress); err != nil {
			return err
		}
	}
	for from, to := range s.renames {
		if err := os.Rename(filepath.Join(folder, from), filepath.Join(folder, to)); err != nil {
			return fmt.Errorf("name the program %s: %w", to, err)
		}
	}
	return nil
}
