package main

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// makeTable has a row for each value that is no group of others. Each must have a comment.
func makeTable(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", fmt.Errorf("parse values: %w", err)
	}
	rows, err := appendRows(nil, "", document.Content[0])
	if err != nil {
		return "", err
	}
	return "| value | default | meaning |\n|---|---|---|\n" + strings.Join(rows, ""), nil
}

func appendRows(rows []string, prefix string, group *yaml.Node) ([]string, error) {
	var faults []error
	for i := 0; i < len(group.Content); i += 2 {
		key, value := group.Content[i], group.Content[i+1]
		name := prefix + key.Value
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			var err error
			if rows, err = appendRows(rows, name+".", value); err != nil {
				faults = append(faults, err)
			}
			continue
		}
		if key.HeadComment == "" {
			faults = append(faults, fmt.Errorf("value %s has no comment: say above it what it does", name))
		}
		rows = append(rows, row(name, value, key.HeadComment))
	}
	return rows, errors.Join(faults...)
}

func row(name string, value *yaml.Node, comment string) string {
	preset := value.Value
	switch {
	case value.Kind == yaml.MappingNode:
		preset = "{}"
	case value.Kind == yaml.SequenceNode:
		preset = "[]"
	case preset == "":
		preset = `""`
	}
	meaning := strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(comment, "# "), "\n# ", " "), "|", `\|`)
	return fmt.Sprintf("| `%s` | `%s` | %s |\n", name, preset, meaning)
}
