package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func TestImageHoldsTheProgramAlone(t *testing.T) {
	folder := t.TempDir()
	unpack(t, readFile(t, filepath.Join(writeImage(t), "keyturn-image.tar")), folder)
	archive := must[v1.ImageIndex](t)(layout.ImageIndexFromPath(folder))
	entries := must[*v1.IndexManifest](t)(archive.IndexManifest()).Manifests
	if len(entries) != 1 {
		t.Fatalf("the archive has %d entries instead of one", len(entries))
	}
	names := map[string]string{
		"io.containerd.image.name":          "ghcr.io/keyturn/keyturn:v1.2.3",
		"org.opencontainers.image.ref.name": "v1.2.3",
	}
	if diff := cmp.Diff(names, entries[0].Annotations); diff != "" {
		t.Errorf("names in the archive (-want +got):\n%s", diff)
	}
	index := must[v1.ImageIndex](t)(archive.ImageIndex(entries[0].Digest))
	var platforms []string
	for _, entry := range must[*v1.IndexManifest](t)(index.IndexManifest()).Manifests {
		platforms = append(platforms, entry.Platform.String())
		checkImage(t, must[v1.Image](t)(index.Image(entry.Digest)))
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
}

func checkImage(t *testing.T, image v1.Image) {
	t.Helper()
	config := must[*v1.ConfigFile](t)(image.ConfigFile())
	if diff := cmp.Diff([]string{"65532:65532", "/ko-app/keyturn"}, append([]string{config.Config.User}, config.Config.Entrypoint...)); diff != "" {
		t.Errorf("user and program (-want +got):\n%s", diff)
	}
	folder := t.TempDir()
	for _, layer := range must[[]v1.Layer](t)(image.Layers()) {
		reader := must[io.ReadCloser](t)(layer.Uncompressed())
		unpack(t, must[[]byte](t)(io.ReadAll(reader)), folder)
		_ = reader.Close()
	}
	if diff := cmp.Diff([]string{"ko-app/keyturn"}, filesIn(t, folder)); diff != "" {
		t.Errorf("files of the image (-want +got):\n%s", diff)
	}
	if config.OS == runtime.GOOS && config.Architecture == runtime.GOARCH {
		printed, err := exec.CommandContext(t.Context(), filepath.Join(folder, "ko-app", "keyturn")).CombinedOutput()
		if err != nil || string(printed) != "v1.2.3" {
			t.Errorf("the program says that its version is %q, want v1.2.3 (%v)", printed, err)
		}
	}
}

// The checkouts are in different folders and of different age; only sources, version and date are the same.
func TestSameSourcesGiveTheSameBytes(t *testing.T) {
	first, second := writeImage(t), writeImage(t)
	want := []string{
		"keyturn-image.tar", "sbom/keyturn-index.spdx.json",
		"sbom/keyturn-linux-amd64.spdx.json", "sbom/keyturn-linux-arm64.spdx.json",
	}
	if diff := cmp.Diff(want, filesIn(t, first)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, name := range want {
		if !bytes.Equal(readFile(t, filepath.Join(first, name)), readFile(t, filepath.Join(second, name))) {
			t.Errorf("%s differs between two builds of the same sources", name)
		}
	}
}

func TestVersionIsASemanticOne(t *testing.T) {
	for _, version := range []string{"", "latest", "1.2.3"} {
		err := run(release{version: version, repository: "ghcr.io/keyturn/keyturn"}, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "as in v1.2.3") {
			t.Errorf("the error for version %q does not say how it should be: %v", version, err)
		}
	}
}

// writeImage makes an image of a small program that says its version, and returns the folder with all that was written.
func writeImage(t *testing.T) string {
	t.Helper()
	source, output := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"go.mod":              "module github.com/keyturn/keyturn\n\ngo 1.26.0\n",
		"cmd/keyturn/main.go": "package main\n\nvar version string\n\nfunc main() { print(version) }\n",
	} {
		writeFile(t, filepath.Join(source, name), []byte(content))
	}
	err := run(release{
		source: source, version: "v1.2.3", repository: "ghcr.io/keyturn/keyturn",
		created: time.Unix(1700000000, 0).UTC(), platforms: []string{"linux/amd64", "linux/arm64"},
	}, output)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

func unpack(t *testing.T, archive []byte, folder string) {
	t.Helper()
	packed := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := packed.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			name := filepath.Join(folder, header.Name) //nolint:gosec // the archive is one that this test has made
			writeFile(t, name, must[[]byte](t)(io.ReadAll(packed)))
		}
	}
}

func filesIn(t *testing.T, folder string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(name))
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o700); err != nil { //nolint:gosec // the program among the files is run
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
