package simulation

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/simulation/mutations"
)

// broken fails a test with the story of a world that breaks an invariant.
func broken(t *testing.T, plan *Plan) {
	t.Helper()
	out := Play(t.Context(), plan, false)
	if len(out.Violations) == 0 {
		return
	}
	told := Play(t.Context(), plan, true)
	t.Errorf("%s: %s\n%s", out.Violations[0].Invariant, out.Violations[0].Because, told.Story)
}

// TestSomeSeeds plays a few worlds; make sim plays thousands.
func TestSomeSeeds(t *testing.T) {
	const some = 30
	for seed := range uint64(some) {
		broken(t, Generate(seed))
	}
}

// TestNamedSeeds plays the plans that have found something wrong once.
func TestNamedSeeds(t *testing.T) {
	seeds := os.DirFS(filepath.Join("testdata", "seeds"))
	names, err := fs.Glob(seeds, "*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are %d named seeds: %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			raw, err := fs.ReadFile(seeds, name)
			if err != nil {
				t.Fatal(err)
			}
			plan := &Plan{}
			if err := json.Unmarshal(raw, plan); err != nil {
				t.Fatal(err)
			}
			if plan.Sentence == "" {
				t.Error("it does not say what it was")
			}
			broken(t, plan)
		})
	}
}

// TestAPlanIsOneStory because a world that cannot be repeated cannot be understood, nor shrunk. Only keys and token IDs differ.
func TestAPlanIsOneStory(t *testing.T) {
	tokenID := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
	for seed := uint64(100); seed < 110; seed++ {
		first, second := Play(t.Context(), Generate(seed), true), Play(t.Context(), Generate(seed), true)
		if diff := cmp.Diff(tokenID.ReplaceAllString(first.Story, "id"), tokenID.ReplaceAllString(second.Story, "id")); diff != "" {
			t.Errorf("seed %d (-first +second):\n%.4000s", seed, diff)
		}
		if diff := cmp.Diff(first.Count, second.Count); diff != "" {
			t.Errorf("seed %d (-first +second):\n%s", seed, diff)
		}
		if quiet := Play(t.Context(), Generate(seed), false); quiet.Count.Events != first.Count.Events {
			t.Errorf("seed %d: %d events happen if nobody listens, and %d if somebody does", seed, quiet.Count.Events, first.Count.Events)
		}
	}
}

// TestPlansAreKept because named seeds are plans, and outlive what a seed means.
func TestPlansAreKept(t *testing.T) {
	for seed := range uint64(50) {
		plan := Generate(seed)
		raw, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		back := &Plan{}
		if err := json.Unmarshal(raw, back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plan, back); diff != "" {
			t.Errorf("seed %d (-made +read back):\n%s", seed, diff)
		}
	}
}

// TestMutationsFindTheirPlace because a list that does not fit the source any more would break nothing. Whether each is found is
// for make sim-mutations to show.
func TestMutationsFindTheirPlace(t *testing.T) {
	top, err := controlplane.Path()
	if err != nil {
		t.Fatal(err)
	}
	all, err := mutations.Read(filepath.Join("testdata", "mutations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	const least = 12
	if len(all) < least {
		t.Errorf("there are %d mutations, want at least %d", len(all), least)
	}
	t.Chdir(top)
	for _, m := range all {
		if _, err := m.Overlay(t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.Sentence, err)
		}
	}
}
