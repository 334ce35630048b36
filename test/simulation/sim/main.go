// Sim plays simulated worlds, each from a seed, and judges them. With -mutations it breaks the source in the ways that
// testdata/mutations.txt lists, and shows that the worlds find each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn/test/simulation"
)

type options struct {
	seeds, seed   uint64
	workers, stop int
	mutations     bool
	only          string
	plan, story   string
	profile       string
	first         bool
}

func main() {
	var o options
	flag.Uint64Var(&o.seeds, "seeds", 100, "how many worlds to play")
	flag.Uint64Var(&o.seed, "seed", 0, "the first seed; with -seeds=1 its story is printed")
	flag.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "how many worlds to play at a time")
	flag.IntVar(&o.stop, "stop", 3, "how many broken worlds to show before the end")
	flag.BoolVar(&o.mutations, "mutations", false, "break the source, and show that it is found")
	flag.StringVar(&o.only, "only", "", "with -mutations, only those whose sentence holds this")
	flag.StringVar(&o.plan, "plan", "", "play the plan in this file and print its story")
	flag.StringVar(&o.story, "keep", "", "the folder to keep shrunk plans and their stories in")
	flag.StringVar(&o.profile, "profile", "", "the file to write a CPU profile to")
	flag.BoolVar(&o.first, "first", false, "print only, as JSON, which invariant the first broken world breaks and how many seeds it took")
	flag.Parse()
	debug.SetGCPercent(400) // Worlds are small, and a fifth of the time was spent on collecting them.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	switch {
	case o.mutations:
		return mutate(ctx, o)
	case o.first:
		return findFirst(ctx, o)
	case o.plan != "":
		return playFile(ctx, o.plan)
	case o.seeds == 1:
		return tell(simulation.Play(ctx, simulation.Generate(o.seed), true))
	default:
		return playSeeds(ctx, o)
	}
}

func playFile(ctx context.Context, name string) error {
	raw, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return err
	}
	plan := &simulation.Plan{}
	if err := json.Unmarshal(raw, plan); err != nil {
		return err
	}
	return tell(simulation.Play(ctx, plan, true))
}

// tell prints a story.
func tell(out simulation.Outcome) error {
	fmt.Print(out.Story)
	summarize(out.Count)
	if len(out.Violations) > 0 {
		return fmt.Errorf("%s does not hold", out.Violations[0].Invariant)
	}
	return nil
}

// playAll plays worlds, some at a time, until stop says that it is enough.
func playAll(ctx context.Context, o options, heed func(simulation.Outcome) (enough bool)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seeds := make(chan uint64)
	outcomes := make(chan simulation.Outcome)
	var working sync.WaitGroup
	for range o.workers {
		working.Go(func() {
			for seed := range seeds {
				outcomes <- simulation.Play(context.WithoutCancel(ctx), simulation.Generate(seed), false)
			}
		})
	}
	go func() {
		defer close(outcomes)
		defer working.Wait()
		defer close(seeds)
		for seed := o.seed; seed < o.seed+o.seeds; seed++ {
			select {
			case seeds <- seed:
			case <-ctx.Done():
				return
			}
		}
	}()
	for out := range outcomes {
		if heed(out) {
			stop()
		}
	}
}

// playSeeds plays worlds, shows those that are broken, and tells what was done.
func playSeeds(ctx context.Context, o options) error {
	started := time.Now()
	total, broken, left := simulation.Count{}, 0, 0
	open, err := openSeeds()
	if err != nil {
		return err
	}
	playAll(ctx, o, func(out simulation.Outcome) bool {
		total.Add(out.Count)
		if sentence, known := open[out.Plan.Seed]; known {
			left++
			if len(out.Violations) == 0 {
				sentence += " It breaks nothing any more: take it from the list."
				broken++
			}
			fmt.Printf("seed %d is open: %s\n", out.Plan.Seed, sentence)
			return false
		}
		if total.Worlds%250 == 0 {
			fmt.Printf("%d of %d worlds, %s\n", total.Worlds, o.seeds, time.Since(started).Round(time.Second))
		}
		if len(out.Violations) == 0 {
			return false
		}
		if broken++; broken <= o.stop {
			show(ctx, out, o)
		}
		return broken >= o.stop
	})
	summarize(total)
	took := time.Since(started)
	fmt.Printf("%s of real time, %.1f simulated years a minute, %d worlds broken besides %d that are known and open\n",
		took.Round(time.Second), total.Time.Hours()/24/365/took.Minutes(), broken, left)
	switch {
	case broken > 0:
		return fmt.Errorf("%d worlds are broken", broken)
	case total.Reviews == total.Refused || total.Tokens == 0 || total.Verifications == 0:
		return errors.New("nothing was proved: no object was admitted, or no token issued and verified")
	default:
		return nil
	}
}

// openSeeds are the sentences of testdata/open.txt by their seeds.
func openSeeds() (map[uint64]string, error) {
	text, err := os.ReadFile("test/simulation/testdata/open.txt")
	if err != nil {
		return nil, fmt.Errorf("read open seeds: %w", err)
	}
	open := map[uint64]string{}
	for line := range strings.Lines(string(text)) {
		number, sentence, _ := strings.Cut(strings.TrimSpace(line), " ")
		if seed, err := strconv.ParseUint(number, 10, 64); err == nil {
			open[seed] = sentence
		}
	}
	return open, nil
}

// findFirst tells which invariant is broken first.
func findFirst(ctx context.Context, o options) error {
	var found finding
	open, err := openSeeds()
	if err != nil {
		return err
	}
	playAll(ctx, o, func(out simulation.Outcome) bool {
		if _, known := open[out.Plan.Seed]; known {
			return false // It breaks something without being broken.
		}
		if needed := out.Plan.Seed - o.seed + 1; len(out.Violations) > 0 && (found.Seeds == 0 || needed < found.Seeds) {
			found = finding{out.Violations[0].Invariant, needed}
		}
		return found.Seeds > 0
	})
	if found.Seeds == 0 {
		found.Seeds = o.seeds
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// show prints a broken world, shrunk.
func show(ctx context.Context, out simulation.Outcome, o options) {
	v := out.Violations[0]
	fmt.Printf("\nseed %d breaks %s: %s\n", out.Plan.Seed, v.Invariant, v.Because)
	shrunk := simulation.Shrink(context.WithoutCancel(ctx), out)
	told := simulation.Play(context.WithoutCancel(ctx), shrunk.Plan, true)
	plan, err := json.MarshalIndent(shrunk.Plan, "", "  ")
	if err != nil {
		panic(err)
	}
	if o.story != "" {
		base := filepath.Join(o.story, fmt.Sprintf("seed-%d", out.Plan.Seed))
		_ = os.WriteFile(base+".json", plan, 0o600)
		_ = os.WriteFile(base+".txt", []byte(told.Story), 0o600)
		fmt.Printf("shrunk to %d acts: %s.txt\n", len(shrunk.Plan.Acts), base)
		return
	}
	fmt.Printf("The plan, shrunk to %d acts:\n%s\nThe story:\n%s", len(shrunk.Plan.Acts), plan, told.Story)
}

func summarize(c simulation.Count) {
	fmt.Printf("%d worlds, %.1f simulated years: %d events, %d reconciles, %d requests, %d reviews (%d refused), %d tokens issued, %d verified, %d questions\n",
		c.Worlds, c.Time.Hours()/24/365, c.Events, c.Reconciles, c.Requests, c.Reviews, c.Refused, c.Tokens, c.Verifications, c.Checks)
	fmt.Printf("faults: %v\nacts: %v\n", c.Faults, c.Acts)
}
