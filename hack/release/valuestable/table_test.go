package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableHasARowForEachValue(t *testing.T) {
	got, err := makeTable([]byte(`# How many.
replicaCount: 2
image:
  # Which one.
  # It may be empty.
  tag: ""
# Either a | b.
labels: {}
# More.
args: []
`))
	if err != nil {
		t.Fatal(err)
	}
	want := "| value | default | meaning |\n|---|---|---|\n" +
		"| `replicaCount` | `2` | How many. |\n" +
		"| `image.tag` | `\"\"` | Which one. It may be empty. |\n" +
		"| `labels` | `{}` | Either a \\| b. |\n" +
		"| `args` | `[]` | More. |\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestEveryValueNeedsAComment(t *testing.T) {
	_, err := makeTable([]byte("image:\n  # Which one.\n  tag: a\n  digest: b\nlabels: {}\n"))
	if err == nil || !strings.Contains(err.Error(), "image.digest") || !strings.Contains(err.Error(), "labels") {
		t.Errorf("the error does not name the values without a comment: %v", err)
	}
}

func TestInsertReplacesTheOldTable(t *testing.T) {
	page, err := insert("# Chart\n"+begin+"old\n"+end+"more\n", "new\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("# Chart\n"+begin+"\nnew\n\n"+end+"more\n", page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	if _, err := insert("# Chart\n", "new\n"); err == nil {
		t.Error("a page without the marks was accepted")
	}
}
