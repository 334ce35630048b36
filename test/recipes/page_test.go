package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readText(t *testing.T, text string) (Page, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "soup.md")
	// A Markdown fence cannot stand in a Go raw string.
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "'''", fence)), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadPage(path)
}

func TestAPageIsItsBlocksInOrder(t *testing.T) {
	page, err := readText(t, `# Soup

Write the file `+"`key.yaml`:"+`

'''yaml
kind: SigningKey
'''

Apply it.

'''sh
kubectl apply -f key.yaml
'''

It prints:

'''text
created
'''

## Clean up

'''sh
kubectl delete -f key.yaml
'''
`)
	if err != nil {
		t.Fatal(err)
	}
	printed := "created\n"
	want := Page{Name: "soup", Steps: []Step{
		{Line: 5, File: "key.yaml", Text: "kind: SigningKey\n"},
		{Line: 11, Text: "kubectl apply -f key.yaml\n", Prints: &printed},
		{Line: 23, Text: "kubectl delete -f key.yaml\n", CleanUp: true},
	}}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

func TestABlockWithoutUseIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ page, want string }{
		"a file without a name":            {"Write it:\n'''yaml\na: 1\n'''\n", "soup.md:4: the line before a block"},
		"a second file after one name":     {"`a.yaml`:\n'''yaml\na: 1\n'''\n'''yaml\na: 1\n'''\n", "soup.md:7: the line before a block"},
		"a file outside of the folder":     {"`../a.yaml`:\n'''yaml\na: 1\n'''\n", "soup.md:4: the line before a block"},
		"a block of no language":           {"Look:\n'''\na\n'''\n", "soup.md:4: the line before a block"},
		"output of nothing":                {"'''text\na\n'''\n", "soup.md:3: nothing was run"},
		"output of a file":                 {"`a`:\n'''yaml\na: 1\n'''\n'''text\na\n'''\n", "soup.md:7: a text block must follow"},
		"output twice":                     {"'''sh\na\n'''\n'''text\na\n'''\n'''text\na\n'''\n", "soup.md:9: a text block must follow"},
		"a block in a list":                {"- a\n  '''sh\n  a\n  '''\n", "soup.md:2: a block must not be indented"},
		"a block that goes on for ever":    {"'''sh\na\n", "soup.md:1: the block does not end"},
		"a block that a longer fence ends": {"'''sh\na\n''''\n", "soup.md:1: the block does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readText(t, test.page); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for name, test := range map[string]struct {
		expected, printed string
		want              bool
	}{
		"the same":                             {"a\nb\n", "a\nb\n", true},
		"blank space at the end":               {"a\n", "a\n\n", true},
		"a line more":                          {"a\n", "a\nb\n", false},
		"a line less":                          {"a\nb\n", "a\n", false},
		"characters that patterns would mean":  {"a.c\n", "abc\n", false},
		"anything in a line":                   {"kid … Active\n", "kid x y Active\n", true},
		"anything in a line ends with it":      {"kid …\n", "kid x\ny\n", false},
		"nothing is anything":                  {"a…\n", "a\n", true},
		"any lines":                            {"a\n…\nb\n", "a\n1\n2\nb\n", true},
		"no lines are any lines":               {"a\n…\nb\n", "a\nb\n", true},
		"any lines, and then not what follows": {"a\n…\nb\n", "a\n1\n2\n", false},
		"any lines at the end":                 {"a\n…\n", "a\n1\n2", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Match(test.expected, test.printed); got != test.want {
				t.Errorf("Match(%q, %q) = %v", test.expected, test.printed, got)
			}
		})
	}
}
