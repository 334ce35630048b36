package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// linkedModule is a module of which packages are compiled into what is delivered.
type linkedModule struct {
	path, version string
	folder        string
	// packages are the folders of those packages.
	packages []string
}

// linked are the modules that packages of a repository depend on, sorted by path, on all platforms that an image is made for. Go
// itself and the repository's own module are not among them.
func linked(ctx context.Context, source string, patterns ...string) ([]*linkedModule, error) {
	modules := map[string]*linkedModule{}
	for _, platform := range []string{"amd64", "arm64"} {
		list := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-json=Dir,Standard,Module"}, patterns...)...)
		list.Dir = source
		list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+platform, "CGO_ENABLED=0")
		output, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("list packages of %s for %s: %w", source, platform, withOutput(err))
		}
		if err := gather(modules, output); err != nil {
			return nil, fmt.Errorf("read packages: %w", err)
		}
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("no package of %s depends on anything", source)
	}
	return slices.SortedFunc(maps.Values(modules), func(a, b *linkedModule) int { return strings.Compare(a.path, b.path) }), nil
}

// listed is a package as `go list -json` tells it.
type listed struct {
	Dir      string `json:"Dir"`
	Standard bool   `json:"Standard"`
	Module   *struct {
		Path    string `json:"Path"`
		Version string `json:"Version"`
		Dir     string `json:"Dir"`
		Main    bool   `json:"Main"`
	} `json:"Module"`
}

func gather(modules map[string]*linkedModule, output []byte) error {
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p listed
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case p.Standard || p.Module == nil || p.Module.Main:
			continue
		}
		m := modules[p.Module.Path]
		if m == nil {
			m = &linkedModule{path: p.Module.Path, version: p.Module.Version, folder: p.Module.Dir}
			modules[m.path] = m
		}
		if !slices.Contains(m.packages, p.Dir) {
			m.packages = append(m.packages, p.Dir)
		}
	}
}

// withOutput adds what a program has printed to why it failed.
func withOutput(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
