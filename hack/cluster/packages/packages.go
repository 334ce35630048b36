// Package packages knows which Debian packages a cluster needs.
package packages

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
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

// Install installs the packages.
func Install(ctx context.Context, names []string, out io.Writer) error {
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
