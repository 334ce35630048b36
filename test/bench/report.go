package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// report is what bench.json holds.
type report struct {
	// Machine is what everything shared.
	Machine machine `json:"machine"`
	Rows    []Row   `json:"rows"`
}

// machine describes where it was measured.
type machine struct {
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu,omitempty"`
}

// keep takes the rows of scenarios that were not run now from an earlier report, if that was made on such a machine.
func (r *report) keep(path string, ran []scenario) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read earlier report: %w", err)
	}
	var earlier report
	if err := json.Unmarshal(content, &earlier); err != nil || earlier.Machine != r.Machine {
		return nil //nolint:nilerr // What cannot be read is no report of this program, and is replaced.
	}
	var rows []Row
	for _, one := range scenarios() {
		from := r.Rows
		if !slices.ContainsFunc(ran, func(s scenario) bool { return s.name == one.name }) {
			from = earlier.Rows
		}
		for _, row := range from {
			if row.Scenario == one.name {
				rows = append(rows, row)
			}
		}
	}
	r.Rows = rows
	return nil
}

func (r *report) write(path string) error {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
