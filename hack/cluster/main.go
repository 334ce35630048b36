// Command cluster runs a Kubernetes cluster of one real node on this machine. It is what the Makefile calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/keyturn/keyturn/hack/cluster/machine"
	"github.com/keyturn/keyturn/hack/cluster/node"
)

const usage = `usage: cluster COMMAND

  up [--install]           start the cluster and return when it is ready; --install lets it install Debian packages
  down                     stop it and remove all that it left
  load ARCHIVE...          give it the images of archives, as of docker save or OCI layouts
  exec -- COMMAND...       run a command in the network of the cluster, where Service names resolve
  pid NAMESPACE POD        print the process ID of the pod's first container`

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
	command, rest := arguments[0], arguments[1:]
	options := node.Options{Root: "."}
	switch command {
	case "up":
		options.Install = len(rest) == 1 && rest[0] == "--install"
		return node.Up(ctx, options, os.Stdout)
	case "down":
		return node.Down(ctx, options, os.Stdout)
	case "load":
		return node.Load(ctx, options, rest, os.Stdout)
	case "exec":
		if len(rest) > 0 && rest[0] == "--" {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return errors.New("exec wants a command")
		}
		return node.Exec(ctx, options, rest)
	case "pid":
		if len(rest) != 2 {
			return errors.New("pid wants a namespace and a pod")
		}
		return node.PID(ctx, options, rest[0], rest[1], os.Stdout)
	case "remains":
		return node.Remains(ctx, options, os.Stdout)
	case "machine":
		view := machine.View{Host: rest[0], Others: map[string]string{}}
		for _, pair := range rest[1:] {
			target, source, _ := strings.Cut(pair, "=")
			view.Others[target] = source
		}
		return machine.Run(view)
	default:
		return fmt.Errorf("unknown command %q\n%s", command, usage)
	}
}
