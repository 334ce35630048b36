package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	fresh := tree{"api/key.go": "new", "config/crd.yaml": "crd"}
	for name, test := range map[string]struct {
		committed tree
		want      []string
	}{
		"a tree that the generators leave alone differs in nothing": {
			committed: tree{"api/key.go": "new", "config/crd.yaml": "crd"},
		},
		"a file of which another content is generated is out of date": {
			committed: tree{"api/key.go": "old", "config/crd.yaml": "crd"},
			want:      []string{"api/key.go: out of date"},
		},
		"a file that was never committed is missing": {
			committed: tree{"api/key.go": "new"},
			want:      []string{"config/crd.yaml: missing"},
		},
		"a file that lost its source is no longer generated": {
			committed: tree{"api/key.go": "new", "config/crd.yaml": "crd", "config/old.yaml": "crd"},
			want:      []string{"config/old.yaml: no longer generated"},
		},
		"several differences come in the order of their names": {
			committed: tree{"api/old.go": "old"},
			want:      []string{"api/key.go: missing", "api/old.go: no longer generated", "config/crd.yaml: missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.committed.compare(fresh)); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTreeIsWhatACommitOfEverythingWouldHold(t *testing.T) {
	source := t.TempDir()
	git(t, source, "init", "-q")
	want := tree{".gitignore": "/.cache/\n", "config/crd.yaml": "crd", "näme.txt": "unicode"}
	write(t, want, source)
	write(t, tree{".cache/tools/gen": "binary"}, source)
	if diff := cmp.Diff(want, read(t, source, source)); diff != "" {
		t.Errorf("with ignored files beside it (-want +got):\n%s", diff)
	}
	git(t, source, "add", ".")
	remove(t, filepath.Join(source, "config", "crd.yaml"))
	delete(want, "config/crd.yaml")
	if diff := cmp.Diff(want, read(t, source, source)); diff != "" {
		t.Errorf("with a tracked file deleted (-want +got):\n%s", diff)
	}
}

func TestCopyIsReadThroughTheRepositoryOfItsSource(t *testing.T) {
	source, copied := t.TempDir(), t.TempDir()
	git(t, source, "init", "-q")
	write(t, tree{".gitignore": "/.cache/\n", "config/crd.yaml": "crd"}, source)
	git(t, source, "add", ".")
	write(t, read(t, source, source), copied)
	remove(t, filepath.Join(copied, "config", "crd.yaml"))
	write(t, tree{".cache/tools/gen": "binary", "config/new.yaml": "crd"}, copied)
	want := tree{".gitignore": "/.cache/\n", "config/new.yaml": "crd"}
	if diff := cmp.Diff(want, read(t, source, copied)); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
}

func git(t *testing.T, folder string, arguments ...string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), "git", arguments...)
	run.Dir = folder
	if output, err := run.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", arguments, err, output)
	}
}

func write(t *testing.T, content tree, folder string) {
	t.Helper()
	if err := content.write(folder); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, source, folder string) tree {
	t.Helper()
	content, err := readTree(t.Context(), filepath.Join(source, ".git"), folder)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}
