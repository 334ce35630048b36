package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// freeAddress is one of the loopback interface that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// memory is what a program holds, in bytes.
type memory struct {
	// Heap is what is in use after a garbage collection.
	Heap float64
	// RSS is the resident memory then.
	RSS float64
}

// Memory collects the operator's garbage and returns what is left.
func (o *Operator) Memory(ctx context.Context) (memory, error) {
	// Two collections: the first one only notices that pooled objects are not used.
	for range 2 {
		if _, err := get(ctx, "http://"+o.profiles+"/debug/pprof/heap?gc=1"); err != nil {
			return memory{}, fmt.Errorf("collect garbage of operator: %w", err)
		}
	}
	told, err := o.Metrics(ctx)
	if err != nil {
		return memory{}, err
	}
	used, err := o.Usage()
	return memory{Heap: told.sum("go_memstats_heap_alloc_bytes"), RSS: float64(used.RSS)}, err
}

// profile writes a CPU profile of the operator, of ten seconds, if somebody wants one. It costs what it measures a little.
func (w *World) profile(ctx context.Context, o *Operator, name string) error {
	if w.profiles == "" || o == nil {
		return nil
	}
	content, err := get(ctx, "http://"+o.profiles+"/debug/pprof/profile?seconds=10")
	if err != nil {
		return fmt.Errorf("profile operator: %w", err)
	}
	if err := os.MkdirAll(w.profiles, 0o700); err != nil {
		return fmt.Errorf("profile operator: %w", err)
	}
	if err := os.WriteFile(filepath.Join(w.profiles, name+".pprof"), []byte(content), 0o600); err != nil {
		return fmt.Errorf("profile operator: %w", err)
	}
	return nil
}

// mebi is a MiB, in bytes.
const mebi = 1 << 20
