// Command valuestable writes the table of values in the README of a chart from the comments of its values.yaml.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: valuestable CHART")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "valuestable:", err)
		os.Exit(1)
	}
}

func run(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return fmt.Errorf("read values: %w", err)
	}
	table, err := makeTable(values)
	if err != nil {
		return err
	}
	readme := filepath.Join(chart, "README.md")
	content, err := os.ReadFile(readme)
	if err != nil {
		return fmt.Errorf("read README: %w", err)
	}
	updated, err := insert(string(content), table)
	if err != nil {
		return fmt.Errorf("write table into %s: %w", readme, err)
	}
	if err := os.WriteFile(readme, []byte(updated), 0o644); err != nil { //nolint:gosec // a page for everybody to read
		return fmt.Errorf("write README: %w", err)
	}
	return nil
}

const begin, end = "<!-- values: make generate writes this table -->\n", "<!-- end of values -->\n"

// insert replaces what is between the two marks.
func insert(page, table string) (string, error) {
	before, rest, begins := strings.Cut(page, begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return "", fmt.Errorf("one of its marks is missing: %q, %q", begin, end)
	}
	return before + begin + "\n" + table + "\n" + end + after, nil
}
