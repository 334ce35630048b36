// Command cluster runs a Kubernetes cluster of one real node on this machine. It is what the Makefile calls.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/keyturn/keyturn/hack/cluster/machine"
	"github.com/keyturn/keyturn/hack/cluster/node"
)

const usage = `usage: cluster COMMAND

  up [--install]       start the cluster and return when it is ready; --install lets it install missing Debian packages
  down                 stop it, and remove all that it left but its logs
  load ARCHIVE...      give it the images in archives: OCI layouts, or those of docker save
  exec -- COMMAND...   run a command in the network of the cluster, where Service names resolve
  pid NAMESPACE POD    print the ID, on this machine, of the first process of the pod's first container
  remains              print what there is of a cluster besides its logs, and fail if there is anything`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("no command\n%s", usage)
	}
	command := arguments[0]
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	install := flags.Bool("install", false, "")
	if err := flags.Parse(arguments[1:]); err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	options := node.Options{Root: ".", Install: *install}

	switch rest := flags.Args(); command {
	case "up":
		return node.Up(ctx, options, os.Stdout)
	case "down":
		return node.Down(ctx, options, os.Stdout)
	case "remains":
		return node.Remains(ctx, options, os.Stdout)
	case "load", "exec", "pid":
		return use(ctx, command, options, rest)
	case "machine":
		// Not for users: up starts the first process of the cluster's namespaces so.
		return machine.Run(view(rest))
	default:
		return fmt.Errorf("unknown command %q\n%s", command, usage)
	}
}

func use(ctx context.Context, command string, options node.Options, arguments []string) error {
	switch {
	case command == "load" && len(arguments) > 0:
		return node.Load(ctx, options, arguments, os.Stdout)
	case command == "exec" && len(arguments) > 0:
		return node.Exec(ctx, options, arguments)
	case command == "pid" && len(arguments) == 2:
		return node.PID(ctx, options, arguments[0], arguments[1], os.Stdout)
	default:
		return fmt.Errorf("%s wants other arguments\n%s", command, usage)
	}
}

// view reads what up wrote: the machine's folder, and the others as TARGET=SOURCE.
func view(arguments []string) machine.View {
	read := machine.View{Host: arguments[0], Others: map[string]string{}}
	for _, pair := range arguments[1:] {
		target, source, _ := strings.Cut(pair, "=")
		read.Others[target] = source
	}
	return read
}
