// Command licences says whether all that is linked into Keyturn's programs and libraries has a licence that the project takes, and
// whether docs/dependencies.md has a line for each Go module that a go.mod of this repository asks for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	source := flag.String("source", ".", "folder of the repository")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *source, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // There is nothing left to stop.
	}
}

func run(ctx context.Context, source string, out io.Writer) error {
	modules, err := linked(ctx, source, "./cmd/...", "./pkg/...", "./api/...")
	if err != nil {
		return err
	}
	var faults []error
	for _, m := range modules {
		found, err := m.licences()
		faults = append(faults, err)
		_, _ = fmt.Fprintf(out, "%-60s %-45s %s\n", m.path, m.version, found)
	}
	_, _ = fmt.Fprintf(out, "%d modules are linked into what is delivered\n", len(modules))
	return errors.Join(append(faults, documented(source))...)
}
