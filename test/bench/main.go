package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// settings are the flags.
type settings struct {
	quick, tiny, list bool
	only, output      string
	profiles          string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var s settings
	flag.BoolVar(&s.quick, "quick", false, "measure less, in minutes")
	flag.BoolVar(&s.tiny, "tiny", false, "measure next to nothing, only to see that everything works")
	flag.BoolVar(&s.list, "list", false, "print the scenarios and end")
	flag.StringVar(&s.only, "only", "", "regular expression for the names of the scenarios to run")
	flag.StringVar(&s.output, "output", "bench.json", "file for the rows")
	flag.StringVar(&s.profiles, "profiles", "", "folder for CPU profiles of the operator, of the first 10 s of everything that is measured")
	flag.Parse()
	err := run(ctx, s, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (s settings) size() Size {
	switch {
	case s.tiny:
		return Tiny
	case s.quick:
		return Quick
	default:
		return Full
	}
}

// chosen are the scenarios that -only selects.
func (s settings) chosen() ([]scenario, error) {
	pattern, err := regexp.Compile(s.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var chosen []scenario
	for _, one := range scenarios() {
		if pattern.MatchString(one.name) {
			chosen = append(chosen, one)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only=%q: no scenario has such a name, see -list", s.only)
	}
	return chosen, nil
}

func run(ctx context.Context, s settings, out io.Writer) error {
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	if s.list {
		for _, one := range chosen {
			_, _ = fmt.Fprintf(out, "%-16s %s\n", one.name, one.about)
		}
		return nil
	}
	log.SetLogger(log.Log.WithSink(nil))
	wall := clock.RealClock{}
	w := &World{Size: s.size(), Clock: wall, out: out, started: wall.Now(), profiles: s.profiles}
	w.Say("measuring %d scenarios, %s; everything shares %d CPUs", len(chosen), w.Size, runtime.NumCPU())
	if err := w.build(ctx); err != nil {
		return err
	}
	done := report{Machine: thisMachine()}
	for i, one := range chosen {
		w.Say("%d of %d: %s", i+1, len(chosen), one.about)
		rows, failed := w.measure(ctx, one)
		for _, row := range rows {
			row.Scenario, row.Size = one.name, w.Size
			done.Rows = append(done.Rows, row)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", one.name, failed))
		}
		if ctx.Err() != nil {
			break
		}
	}
	_, _ = fmt.Fprintln(out)
	return errors.Join(err, printTable(out, done.Rows), done.keep(s.output, chosen), done.write(s.output))
}

// measure runs one scenario, in a control plane of its own where it needs one.
func (w *World) measure(ctx context.Context, one scenario) (rows []Row, err error) {
	if one.controlPlane {
		defer func() { err = errors.Join(err, w.stopPlane(ctx)) }()
		if err := w.startPlane(ctx); err != nil {
			return nil, err
		}
	}
	return one.run(ctx, w)
}
