package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// toolchain is the Go whose standard library is judged.
type toolchain struct {
	// environment has the go command be that one, and govulncheck know it.
	environment []string
	about       string
}

// toolchainOf is the Go that a repository's go.mod names, or that of this machine if that one is newer, or the other cannot be had.
func toolchainOf(ctx context.Context, source string) (toolchain, error) {
	file := filepath.Join(source, "go.mod")
	text, err := os.ReadFile(file)
	if err != nil {
		return toolchain{}, fmt.Errorf("read toolchain: %w", err)
	}
	parsed, err := modfile.Parse(file, text, nil)
	if err != nil {
		return toolchain{}, fmt.Errorf("read toolchain: %w", err)
	}
	here, err := goVersion(ctx, source, nil)
	if err != nil {
		return toolchain{}, err
	}
	ours := toolchain{about: here + " of this machine"}
	if parsed.Toolchain == nil {
		return ours, nil
	}
	named := []string{"GOTOOLCHAIN=" + parsed.Toolchain.Name + "+auto"}
	version, err := goVersion(ctx, source, named)
	switch {
	case err != nil:
		ours.about += fmt.Sprintf(", because %s, which go.mod names, cannot be had: %v", parsed.Toolchain.Name, err)
		return ours, nil
	case version == here:
		return ours, nil
	default:
		return toolchain{
			environment: append(named, "GOVERSION="+version),
			about:       fmt.Sprintf("%s, which go.mod names; what is built with %s, as this machine has it, has another standard library", version, here),
		}, nil
	}
}

func goVersion(ctx context.Context, source string, environment []string) (string, error) {
	command := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	command.Dir, command.Env = source, append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask go for its version: %w: %s", err, output)
	}
	lines := strings.Fields(string(output))
	return lines[len(lines)-1], nil
}
