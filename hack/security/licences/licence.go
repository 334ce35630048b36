package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences that the project takes, by their SPDX identifiers.
func allowed() []string {
	return []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}
}

// mostUnknown is how much of a file may be of no licence that is known, in percent: names, years, and what precedes the text.
const mostUnknown = 25

// licences are those of the packages that are linked, each by the nearest folder above it that has any. The error names what is not
// allowed, or cannot be told.
func (m *linkedModule) licences() ([]string, error) {
	var found []string
	var faults []error
	for _, file := range m.files(&faults) {
		names, err := read(file)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s@%s: %s: %w", m.path, m.version, filepath.Base(file), err))
		}
		found = append(found, names...)
	}
	slices.Sort(found)
	return slices.Compact(found), errors.Join(faults...)
}

// files are those with the licences, each once.
func (m *linkedModule) files(faults *[]error) []string {
	var all []string
	for _, folder := range m.packages {
		files, err := nearest(folder, m.folder)
		if err != nil {
			*faults = append(*faults, fmt.Errorf("%s@%s: %s: %w", m.path, m.version, folder, err))
		}
		all = append(all, files...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func read(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if name, ok := judged(text); ok {
		return []string{name}, nil
	}
	return identify(text)
}

// nearest are the files with licences in the first folder that has any, from one up to that of its module.
func nearest(folder, top string) ([]string, error) {
	named := regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)|[-_.]licen[cs]e`)
	for {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("look for a licence: %w", err)
		}
		var files []string
		for _, entry := range entries {
			if entry.Type().IsRegular() && named.MatchString(entry.Name()) && !strings.HasSuffix(entry.Name(), ".go") {
				files = append(files, filepath.Join(folder, entry.Name()))
			}
		}
		if len(files) > 0 {
			return files, nil
		}
		if folder == top || !strings.HasPrefix(folder, top) {
			return nil, errors.New("there is no licence")
		}
		folder = filepath.Dir(folder)
	}
}

//go:embed judged.txt
var judgements string

// judged says what somebody has found a text to be, which must be that very text.
func judged(text []byte) (name string, ok bool) {
	sum := sha256.Sum256(text)
	for line := range strings.Lines(judgements) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[0] == hex.EncodeToString(sum[:]) {
			return fields[1], true
		}
	}
	return "", false
}

// identify says which licences a text holds.
func identify(text []byte) ([]string, error) {
	scanned := licensecheck.Scan(text)
	var names []string
	for _, match := range scanned.Match {
		if !match.IsURL {
			names = append(names, match.ID)
		}
	}
	if len(names) == 0 || scanned.Percent < 100-mostUnknown {
		return names, fmt.Errorf("only %.0f %% of it is a licence that is known (%s)", scanned.Percent, strings.Join(names, ", "))
	}
	for _, name := range names {
		if !slices.Contains(allowed(), name) {
			return names, fmt.Errorf("%s is none of %s", name, strings.Join(allowed(), ", "))
		}
	}
	return names, nil
}
