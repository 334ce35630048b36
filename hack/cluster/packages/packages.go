// Package packages knows which Debian packages a cluster needs.
package packages

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/hack/cluster/command"
)

// required names each package by a file that it brings; busybox-static is needed for the image that recipes run in pods.
func required() map[string]string {
	return map[string]string{
		"/usr/bin/containerd": "containerd",
		"/usr/sbin/runc":      "runc",
		"/usr/lib/cni/ptp":    "containernetworking-plugins",
		"/usr/sbin/iptables":  "iptables",
		"/bin/ip":             "iproute2",
		"/bin/busybox":        "busybox-static",
	}
}

// Missing returns the packages that are not installed below the root folder, in the order of their names.
func Missing(root string) []string {
	var missing []string
	for file, name := range required() {
		if _, err := os.Stat(root + file); err != nil {
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
