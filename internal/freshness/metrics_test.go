package freshness_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/freshness"
)

func TestTheInstantOfTheViewIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if n := testutil.CollectAndCount(freshness.New(clock.RealClock{}, limit)); n != 0 {
			t.Errorf("%d metrics are told of a view of nothing", n)
		}
		s := &server{}
		view := started(t, clock.RealClock{}, s)
		first := testutil.ToFloat64(view)
		if want := float64(view.Heard().Unix()); first != want || want == 0 {
			t.Errorf("the view is of %v, want %v", first, want)
		}
		s.set(true, false)
		s.hangUp()
		pause(time.Hour)
		if got := testutil.ToFloat64(view); got != first {
			t.Errorf("an API server that is away was heard of at %v, want %v", got, first)
		}
		if faults, err := testutil.CollectAndLint(view); err != nil || len(faults) > 0 {
			t.Errorf("faults are %v, error %v", faults, err)
		}
	})
}
