package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tree holds the content of files by their slash-separated path.
type tree map[string]string

// readTree reads the files of a folder that git would commit: tracked ones and new ones, without ignored ones.
// The repository may belong to another folder with the same layout, as it does for a copy.
func readTree(ctx context.Context, repository, folder string) (tree, error) {
	git := exec.CommandContext(ctx, "git", "--git-dir", repository, "--work-tree", ".",
		"ls-files", "-z", "--cached", "--others", "--exclude-standard")
	git.Dir = folder
	listed, err := git.Output()
	if err != nil {
		return nil, fmt.Errorf("list files of %s with git: %w", folder, err)
	}
	read := tree{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // tracked, but deleted in this folder
		}
		if err != nil {
			return nil, fmt.Errorf("read tree: %w", err)
		}
		read[name] = string(content)
	}
	return read, nil
}

// write puts the tree into a folder. Every file becomes executable, since scripts among them may be run.
func (t tree) write(folder string) error {
	for name, content := range t {
		target := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return fmt.Errorf("copy tree: %w", err)
		}
		if err := os.WriteFile(target, []byte(content), 0o700); err != nil { //nolint:gosec // scripts among the files may be run
			return fmt.Errorf("copy tree: %w", err)
		}
	}
	return nil
}

// compare says, sorted by name, how the tree differs from one freshly generated.
func (t tree) compare(fresh tree) []string {
	var differing []string
	for name, content := range fresh {
		switch old, exists := t[name]; {
		case !exists:
			differing = append(differing, name+": missing")
		case old != content:
			differing = append(differing, name+": out of date")
		}
	}
	for name := range t {
		if _, exists := fresh[name]; !exists {
			differing = append(differing, name+": no longer generated")
		}
	}
	slices.Sort(differing)
	return differing
}
