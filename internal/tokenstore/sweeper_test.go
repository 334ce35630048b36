package tokenstore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, time.Minute, true,
		func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestTheSweeperSweepsTimeAndAgain(t *testing.T) {
	store := open(t, "sqlite://"+filepath.Join(t.TempDir(), "tokens.db"))
	clk := clocktesting.NewFakeClock(start())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- (&tokenstore.Sweeper{Store: store, Clock: clk, Logger: testr.New(t)}).Start(ctx)
	}()
	eventually(t, "the sweeper waits", clk.HasWaiters)
	for range 2 {
		token := create(t, store, grant(), clk.Now())
		lookup(t, store, token, clk.Now(), refresh.Usable)
		clk.Step(idle)
		eventually(t, "what has expired is removed", func() bool {
			r, err := store.Lookup(t.Context(), token, clk.Now())
			return err == nil && r.State == refresh.Unknown
		})
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the sweeper ends with %v", err)
	}
}

// uses are how many uses of tokens were told to have had an outcome.
func uses(t *testing.T, outcome string) uint64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if family.GetName() == "keyturn_token_store_operation_duration_seconds" && labels["operation"] == "Use" && labels["outcome"] == outcome {
				return metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return 0
}

func TestOperationsAreCountedByOutcome(t *testing.T) {
	store := open(t, "sqlite://"+filepath.Join(t.TempDir(), "tokens.db"))
	before := map[string]uint64{}
	wanted := []string{"Usable", "Reused", "Revoked", "Unavailable"}
	for _, outcome := range wanted {
		before[outcome] = uses(t, outcome)
	}
	token := create(t, store, grant(), start())
	for _, state := range []refresh.State{refresh.Usable, refresh.Reused, refresh.Revoked} {
		use(t, store, token, start(), state)
	}
	store.LoseConnection(false)
	unavailable(t, store, create(t, store, grant(), start()))
	for _, outcome := range wanted {
		if got := uses(t, outcome) - before[outcome]; got != 1 {
			t.Errorf("%d uses are told to be %s, want 1", got, outcome)
		}
	}
	faults, err := testutil.GatherAndLint(metrics.Registry, "keyturn_token_store_operation_duration_seconds", "keyturn_token_store_rows_swept_total")
	if err != nil || len(faults) > 0 {
		t.Errorf("faults are %v, error %v", faults, err)
	}
}
