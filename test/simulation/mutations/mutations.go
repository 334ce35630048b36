// Package mutations reads lists of ways to break the source on purpose, and makes overlays for the compiler of them.
package mutations

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Mutation is one way to break the source.
type Mutation struct {
	// Sentence says what is broken.
	Sentence string
	// File is where, below the top folder of the repository; Goes is the text that goes, and Comes the text that comes.
	File, Goes, Comes string
}

// Read reads a list. Blocks have an empty line between them, and those that begin with # are comments. A block is the sentence,
// "in " and the file, then lines that go, with a minus before them, and lines that come, with a plus.
func Read(file string) ([]Mutation, error) {
	raw, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("read mutations: %w", err)
	}
	var all []Mutation
	for block := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n\n") {
		if !strings.HasPrefix(block, "#") {
			all = append(all, parse(block))
		}
	}
	return all, nil
}

func parse(block string) Mutation {
	var m Mutation
	var goes, comes []string
	for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
		switch {
		case m.Sentence == "":
			m.Sentence = line
		case m.File == "":
			m.File = strings.TrimPrefix(line, "in ")
		case strings.HasPrefix(line, "-"):
			goes = append(goes, line[1:])
		case strings.HasPrefix(line, "+"):
			comes = append(comes, line[1:])
		}
	}
	m.Goes, m.Comes = strings.Join(goes, "\n"), strings.Join(comes, "\n")
	return m
}

// Overlay writes the broken file, and what tells the compiler to read it, into a folder, and returns the name of the latter. It
// is called in the top folder of the repository.
func (m Mutation) Overlay(folder string) (string, error) {
	source, err := filepath.Abs(m.File)
	if err != nil {
		return "", err
	}
	raw, err := fs.ReadFile(os.DirFS("."), m.File)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(raw), m.Goes); n != 1 {
		return "", fmt.Errorf("%s holds %d times, want once:\n%s", m.File, n, m.Goes)
	}
	broken := filepath.Join(folder, "broken.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: broken}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(broken, []byte(strings.Replace(string(raw), m.Goes, m.Comes, 1)), 0o600); err != nil {
		return "", err
	}
	name := filepath.Join(folder, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o600)
}
