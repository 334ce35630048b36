// Command probe is what runs in the pods of the end-to-end tests. Each role counts what it sees and tells it at /counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: probe ROLE [FLAGS]

  present  reads a mounted token afresh and presents it
  verify   verifies the tokens that are presented
  call     gets a document over and over
  ask      asks for tokens with a projected one, and presents them to the gate

probe ROLE -help lists the flags of a role.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("no role\n%s", usage)
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	listen := flags.String("listen", ":8080", "address of the HTTP server")
	var role func(context.Context) (roleServer, error)
	switch arguments[0] {
	case "present":
		role = present(flags)
	case "verify":
		role = verify(flags)
	case "call":
		role = call(flags)
	case "ask":
		role = ask(flags)
	default:
		return fmt.Errorf("there is no role %q\n%s", arguments[0], usage)
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		flags.SetOutput(os.Stderr)
		flags.Usage()
		return err
	}
	server, err := role(ctx)
	if err != nil {
		return err
	}
	return server.serve(ctx, *listen)
}
