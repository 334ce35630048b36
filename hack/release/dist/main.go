// Command dist writes what a cluster is installed from: install.yaml and the packaged chart, both of one version.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/semver"

	"github.com/keyturn/keyturn/hack/release/manifests"
)

func main() {
	source := flag.String("source", ".", "folder of the checkout")
	output := flag.String("output", "dist", "folder to write into")
	version := flag.String("version", "", "version, such as v1.2.3")
	epoch := flag.Int64("date", 0, "time of the chart's files in seconds since 1970, as in SOURCE_DATE_EPOCH")
	flag.Parse()
	if err := run(*source, *output, *version, time.Unix(*epoch, 0).UTC()); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(source, output, version string, date time.Time) error {
	if !semver.IsValid(version) {
		return fmt.Errorf("version %q: must be a semantic version after a v, as in v1.2.3", version)
	}
	manifest, err := manifests.Kustomize(filepath.Join(source, "config", "default"))
	if err != nil {
		return err
	}
	if manifest, err = manifests.Release(manifest, version); err != nil {
		return err
	}
	if err := os.MkdirAll(output, 0o750); err != nil {
		return fmt.Errorf("make %s: %w", output, err)
	}
	install := filepath.Join(output, "install.yaml")
	if err := os.WriteFile(install, manifest, 0o644); err != nil { //nolint:gosec // a manifest for everybody to read
		return fmt.Errorf("write manifest: %w", err)
	}
	archive, err := manifests.Package(filepath.Join(source, "charts", "keyturn"), output, version, date)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s\n", install, archive)
	return nil
}
