// Command chaos runs the operator, as it is built, on a real kube-apiserver and etcd, and does to them what machines and networks
// do. Independent verifiers judge every token all the while.
//
// It exits with 0 only if each fault took place, the operator came to rest after it, and no verification failed.
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

	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	short := flag.Bool("short", false, "do less of each fault, for a minute or two")
	only := flag.String("only", "", "do faults whose name contains this text only")
	flag.Parse()
	err := run(ctx, *short, *only, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

var errFailed = errors.New("the promise was not kept: see the lines above that say FAIL")

func run(ctx context.Context, short bool, only string, out io.Writer) (err error) {
	log.SetLogger(log.Log.WithSink(nil))
	w, err := begin(ctx, short, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end(ctx)) }()
	report := report{}
	for _, f := range chosen(faults(), only) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report = append(report, w.suffer(ctx, f))
	}
	_, _ = fmt.Fprintf(out, "\n%s\n", report)
	if report.failed() {
		return errFailed
	}
	return nil
}
