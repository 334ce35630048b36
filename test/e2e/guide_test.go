package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guide runs what docs/install.md prints: the shell commands of one block below a heading, counted from 1.
func (c *cluster) guide(t *testing.T, heading string, block int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.top, "docs", "install.md"))
	must(t, err)
	blocks := shellBlocks(string(text), heading)
	if len(blocks) < block {
		t.Fatalf("docs/install.md has %d blocks of commands below %q, want %d", len(blocks), heading, block)
	}
	c.run(t, "bash", "-euc", blocks[block-1])
}

// shellBlocks are the blocks marked sh between a heading and the next one of any depth.
func shellBlocks(text, heading string) []string {
	_, below, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		return nil
	}
	below, _, _ = strings.Cut(below, "\n#")
	var blocks []string
	for {
		_, rest, found := strings.Cut(below, "\n```sh\n")
		if !found {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "```\n")
		blocks, below = append(blocks, block), after
	}
}

func TestShellBlocksOfAHeading(t *testing.T) {
	t.Parallel()
	const text = "# A\n```sh\nnot me\n```\n## B\nText.\n\n```sh\none\ntwo\n```\n\n```yaml\nno: shell\n```\n\n```sh\nthree\n```\n\n## C\n```sh\nnot me\n```\n"
	got := strings.Join(shellBlocks(text, "## B"), "|")
	if want := "one\ntwo\n|three\n"; got != want {
		t.Errorf("the blocks are %q, want %q", got, want)
	}
	if blocks := shellBlocks(text, "## D"); len(blocks) > 0 {
		t.Errorf("a heading that is not there has the blocks %q, want none", blocks)
	}
}
