// Command image writes the operator's image as an OCI archive, for each platform, and an SBOM beside it. It needs neither a
// container runtime nor a registry, and writes the same bytes whenever the sources, the version, the date and Go are the same.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/mod/semver"
)

func main() {
	var r release
	var epoch int64
	flag.StringVar(&r.source, "source", ".", "folder of the checkout")
	flag.StringVar(&r.version, "version", "", "version, which becomes the tag")
	flag.StringVar(&r.repository, "repository", "ghcr.io/keyturn/keyturn", "name of the image without tag")
	flag.Int64Var(&epoch, "date", 0, "creation time in seconds since 1970, as in SOURCE_DATE_EPOCH")
	output := flag.String("output", "dist", "folder to write the archive and the SBOMs into")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64", "comma-separated platforms")
	flag.Parse()
	r.created, r.platforms = time.Unix(epoch, 0).UTC(), strings.Split(*platforms, ",")
	if err := run(r, *output); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(r release, output string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !semver.IsValid(r.version) {
		return fmt.Errorf("version %q: must be a semantic version after a v, as in v1.2.3", r.version)
	}
	tag, err := name.NewTag(r.repository+":"+r.version, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("read name of the image: %w", err)
	}
	log.SetOutput(io.Discard) // ko tells of every file of the checkout that is not committed.
	index, err := r.build(ctx, filepath.Join(output, "sbom"))
	if err != nil {
		return err
	}
	archive := filepath.Join(output, "keyturn-image.tar")
	if err := writeArchive(archive, index, tag); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("read digest: %w", err)
	}
	fmt.Printf("%s@%s\n%s\n", tag, digest, archive)
	return nil
}
