// Package process starts programs that outlive the launcher, and stops exactly those again.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrGone means that there is no such process any more; one that has ended and only waits to be reaped counts as gone.
var ErrGone = errors.New("process is gone")

// Identity names one process. The process ID alone does not: the kernel gives it to another process later.
type Identity struct {
	PID int `json:"pid"`
	// Started is when the process started, in the words of the operating system; only good for comparison.
	Started string `json:"started"`
}

// Identify names the process that has this ID now. It returns ErrGone when there is none.
func Identify(ctx context.Context, pid int) (Identity, error) {
	started, err := startTime(ctx, pid)
	if err != nil {
		return Identity{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return Identity{PID: pid, Started: started}, nil
}

// Alive tells whether this very process still runs.
func (i Identity) Alive(ctx context.Context) (bool, error) {
	now, err := Identify(ctx, i.PID)
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	return now == i, err
}

// WriteFile records the identity at path, whole or not at all.
func (i Identity) WriteFile(path string) error {
	content, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("encode process identity: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create folder for process identity: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("write process identity: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write process identity: %w", err)
	}
	return nil
}

// ReadFile reads what WriteFile recorded. It returns an error that is os.ErrNotExist when there is no such file.
func ReadFile(path string) (Identity, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, fmt.Errorf("read process identity: %w", err)
	}
	var identity Identity
	if err := json.Unmarshal(content, &identity); err != nil {
		return Identity{}, fmt.Errorf("parse process identity %s: %w", path, err)
	}
	return identity, nil
}
