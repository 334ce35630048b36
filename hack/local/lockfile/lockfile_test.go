package lockfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/keyturn/keyturn/hack/local/lockfile"
)

func TestAcquireWaitsForTheHolderAndNamesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	first, err := lockfile.Acquire(t.Context(), path, func(string) { t.Error("a free lock made its taker wait") })
	if err != nil {
		t.Fatal(err)
	}

	second, err := lockfile.Acquire(t.Context(), path, func(holder string) {
		if want := strconv.Itoa(os.Getpid()); holder != want {
			t.Errorf("holder = %q, want %q", holder, want)
		}
		if err := first.Release(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatalf("the lock was released, yet: %v", err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

func TestAcquireStopsWaitingWhenItsContextEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockfile.Acquire(t.Context(), path, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Release() }()

	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockfile.Acquire(ctx, path, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}
