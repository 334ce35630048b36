// Command vulncheck says which known vulnerabilities the programs and libraries of this repository can reach; govulncheck looks.
//
// It asks the database of the Go project or, where that cannot be reached, its Go module. Where it has neither it fails, because nothing
// was checked then.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strconv"

	"golang.org/x/vuln/scan"
)

func main() {
	source := flag.String("source", ".", "folder of the repository")
	online := flag.String("database", "https://vuln.go.dev", "URL of the vulnerability database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *source, *online, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // There is nothing left to stop.
	}
}

func run(ctx context.Context, source, online string, out io.Writer) error {
	known, err := choose(ctx, online)
	if err != nil {
		return fmt.Errorf("nothing was checked, because no vulnerability database could be had: %w", err)
	}
	_, _ = fmt.Fprintf(out, "database: %s\n", known.about)
	goes, err := toolchainOf(ctx, source)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "Go: %s\n", goes.about)
	return check(ctx, source, known.url, goes, out, "./cmd/...", "./pkg/...", "./api/...")
}

// check fails if a vulnerability can be reached.
func check(ctx context.Context, source, database string, goes toolchain, out io.Writer, patterns ...string) error {
	var said bytes.Buffer
	govulncheck := scan.Command(ctx, append([]string{"-C", source, "-db", database}, patterns...)...)
	govulncheck.Stdout, govulncheck.Stderr = &said, &said
	govulncheck.Env = append(os.Environ(), goes.environment...)
	err := govulncheck.Start()
	if err == nil {
		err = govulncheck.Wait()
	}
	_, _ = out.Write(few(said.Bytes()))
	if err != nil {
		return fmt.Errorf("govulncheck: %w", err)
	}
	return nil
}

// few leaves out all ways to a vulnerability but the first: there can be hundreds.
func few(report []byte) []byte {
	const most = 3
	way := regexp.MustCompile(`^\s+#(\d+): `)
	var kept bytes.Buffer
	for line := range bytes.Lines(report) {
		if found := way.FindSubmatch(line); found != nil {
			if number, err := strconv.Atoi(string(found[1])); err == nil && number > most {
				continue
			}
		}
		kept.Write(line)
	}
	return kept.Bytes()
}
