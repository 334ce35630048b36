package clientauth_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clientauth"
)

func TestOfManyThatUseAnAssertionAtOnceOneIsToldThatItIsNew(t *testing.T) {
	m, now := clientauth.NewMemory(), time.Unix(1000, 0)
	var isNew atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if first, err := m.Record(t.Context(), clientauth.Assertion{Client: "c", ID: "1", Until: now.Add(time.Minute)}, now); first && err == nil {
				isNew.Add(1)
			}
		})
	}
	all.Wait()
	if n := isNew.Load(); n != 1 {
		t.Errorf("%d were told so", n)
	}
}

func TestOneClientCannotFillTheMemoryOfAll(t *testing.T) {
	m, now := clientauth.NewMemory(), time.Unix(1000, 0)
	record := func(client, id string, now time.Time) (bool, error) {
		return m.Record(t.Context(), clientauth.Assertion{Audience: "a", Client: client, ID: id, Until: now.Add(time.Minute)}, now)
	}
	taken := 0
	for taken < 1<<20 {
		if _, err := record("greedy", fmt.Sprint(taken), now); err != nil {
			break
		}
		taken++
	}
	if taken != 16<<10 {
		t.Errorf("%d assertions of one client were remembered", taken)
	}
	if isNew, err := record("modest", "0", now); !isNew || err != nil {
		t.Errorf("another client: %v, %v", isNew, err)
	}
	if isNew, err := record("greedy", "0", now); isNew || err != nil {
		t.Errorf("what was used is new: %v, %v", isNew, err)
	}
	later := now.Add(time.Minute)
	for _, id := range []string{"0", "x"} {
		if isNew, err := record("greedy", id, later); !isNew || err != nil {
			t.Errorf("%s after the others have ended: %v, %v", id, isNew, err)
		}
	}
}
