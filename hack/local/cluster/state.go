package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// state describes a cluster that came up; it is written last, so a file that is there means a cluster that was complete.
type state struct {
	Components []string `json:"components"`
	Ports      ports    `json:"ports"`
}

func (s state) has(component string) bool {
	return slices.Contains(s.Components, component)
}

func (s state) write(path string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// readState returns an empty state when no cluster came up, or when its description is damaged.
func readState(path string) (state, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read state: %w", err)
	}
	var read state
	if err := json.Unmarshal(content, &read); err != nil {
		return state{}, nil //nolint:nilerr // Whatever cannot be read is an unfinished cluster, which is cleared.
	}
	return read, nil
}
