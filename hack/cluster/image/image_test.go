package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/hack/cluster/image"
)

func TestAnArchiveHoldsWhatItPromises(t *testing.T) {
	var written bytes.Buffer
	if err := image.Busybox([]byte("program"), []string{"sh", "busybox", "cat"}).Write(&written); err != nil {
		t.Fatal(err)
	}
	archive := unpack(t, written.Bytes())

	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	parse(t, archive["manifest.json"].content, &manifest)
	if diff := cmp.Diff([]string{"docker.io/library/busybox:1.36"}, manifest[0].RepoTags); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	layer := archive[manifest[0].Layers[0]].content
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
		Config struct{ Cmd []string }
	}
	parse(t, archive[manifest[0].Config].content, &config)
	if diff := cmp.Diff([]string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}, config.RootFS.DiffIDs); diff != "" {
		t.Errorf("hash of the layer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"sh"}, config.Config.Cmd); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}

	files := unpack(t, layer)
	if program := files["bin/busybox"]; string(program.content) != "program" || program.mode != 0o755 {
		t.Errorf("bin/busybox is %q with mode %o", program.content, program.mode)
	}
	for _, applet := range []string{"bin/sh", "bin/cat"} {
		if files[applet].link != "busybox" {
			t.Errorf("%s links to %q, want busybox", applet, files[applet].link)
		}
	}
	if files["tmp/"].mode != 0o1777 {
		t.Errorf("tmp has mode %o, so that not everybody can write there", files["tmp/"].mode)
	}
}

type entry struct {
	content []byte
	link    string
	mode    int64
}

func unpack(t *testing.T, archive []byte) map[string]entry {
	t.Helper()
	entries := map[string]entry{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := entries[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		entries[header.Name] = entry{content: content, link: header.Linkname, mode: header.Mode}
	}
}

func parse(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}
