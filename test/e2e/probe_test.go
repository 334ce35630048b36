package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/hack/cluster/image"
)

// loadProbe compiles the probe and gives it to the cluster as an image.
func (c *cluster) loadProbe(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	program, archive := filepath.Join(folder, "probe"), filepath.Join(folder, "probe.tar")
	c.run(t, "env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", program, "./test/e2e/probe")
	content, err := os.ReadFile(program)
	must(t, err)
	file, err := os.Create(archive)
	must(t, err)
	packed := image.Image{Name: probeImage, Command: []string{"/probe"}, Files: []image.File{{Path: "probe", Content: content, Mode: 0o755}}}
	must(t, packed.Write(file), file.Close())
	c.run(t, clusterProgram, "load", archive)
}
