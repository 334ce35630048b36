package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// documented says which Go modules that a go.mod of the repository asks for have no line in docs/dependencies.md.
func documented(source string) error {
	page := filepath.Join(source, "docs", "dependencies.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read dependencies: %w", err)
	}
	told := inTable(string(text))
	nested, err := filepath.Glob(filepath.Join(source, "hack", "*", "go.mod"))
	if err != nil {
		return fmt.Errorf("find modules: %w", err)
	}
	var faults []error
	for _, file := range append(nested, filepath.Join(source, "go.mod")) {
		asked, err := direct(file)
		if err != nil {
			return err
		}
		for _, path := range asked {
			if !slices.Contains(told, path) {
				faults = append(faults, fmt.Errorf("%s: no line for %s, which %s asks for: why it is here, its age and upkeep, licence and weight", page, path, file))
			}
		}
	}
	return errors.Join(faults...)
}

// direct are the modules and tools that a go.mod asks for by itself.
func direct(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read dependencies: %w", err)
	}
	parsed, err := modfile.Parse(file, text, nil)
	if err != nil {
		return nil, fmt.Errorf("read dependencies: %w", err)
	}
	var paths []string
	for _, require := range parsed.Require {
		if !require.Indirect || isTool(parsed, require.Mod.Path) {
			paths = append(paths, require.Mod.Path)
		}
	}
	return paths, nil
}

func isTool(parsed *modfile.File, module string) bool {
	return slices.ContainsFunc(parsed.Tool, func(t *modfile.Tool) bool { return strings.HasPrefix(t.Path+"/", module+"/") })
}

// inTable is what the first cells of a table of Markdown name, with commas between.
func inTable(text string) []string {
	var named []string
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for name := range strings.SplitSeq(cells[1], ",") {
				named = append(named, strings.TrimSpace(name))
			}
		}
	}
	return named
}
