// Package packages knows which Debian packages a cluster needs.
package packages

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/hack/cluster/command"
)

// Busybox is a static program, of which an image for pods is made.
const Busybox = "/bin/busybox"

// required names each package by a file that it brings.
func required() map[string]string {
	return map[string]string{
		"/usr/bin/containerd": "containerd",
		"/usr/sbin/runc":      "runc",
		"/usr/lib/cni/ptp":    "containernetworking-plugins",
		"/usr/sbin/iptables":  "iptables",
		"/bin/ip":             "iproute2",
		Busybox:               "busybox-static",
	}
}

// static tells whether the file is a program that needs no libraries, so that it runs in an image of its own.
func static(path string) bool {
	program, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = program.Close() }() // Opened for reading only.
	return !slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// Missing returns the packages that are not installed below the root folder, in the order of their names.
func Missing(root string) []string {
	var missing []string
	for file, name := range required() {
		path := filepath.Join(root, file)
		_, err := os.Stat(path)
		// Another package has a busybox of that name that needs libraries.
		if err != nil || file == Busybox && !static(path) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// MissingError tells which packages are missing, and what installs them.
type MissingError []string

// Error names the packages.
func (e MissingError) Error() string {
	return fmt.Sprintf("Debian packages are missing: %s. Install them with\n\n  apt-get update && apt-get install --yes --no-install-recommends %s\n\n"+
		"or let `make cluster-up INSTALL=yes` do that", strings.Join(e, ", "), strings.Join(e, " "))
}

// Install installs the packages below the root folder, of which a server is not started: a containerd of the machine's own would
// be none of the cluster's business.
func Install(ctx context.Context, root string, names []string, out io.Writer) (err error) {
	undo, err := startNothing(filepath.Join(root, "/usr/sbin/policy-rc.d"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undo()) }()
	_, _ = fmt.Fprintf(out, "Installing %s.\n", strings.Join(names, " "))
	for _, arguments := range [][]string{
		{"update", "--quiet"},
		append([]string{"install", "--quiet", "--yes", "--no-install-recommends"}, names...),
	} {
		if _, err := (command.Command{Environment: []string{"DEBIAN_FRONTEND=noninteractive"}}).Run(ctx, "apt-get", arguments...); err != nil {
			return err
		}
	}
	return nil
}

// startNothing writes the program that Debian asks before it starts a server that it has installed; one that is there has
// decided already. What is returned removes the program again.
func startNothing(policy string) (func() error, error) {
	file, err := os.OpenFile(policy, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700) //nolint:gosec // Debian runs it.
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	undo := func() error { return os.Remove(policy) }
	// The status by which it says no.
	_, err = file.WriteString("#!/bin/sh\nexit 101\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
