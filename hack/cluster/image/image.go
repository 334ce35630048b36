// Package image writes small container images as archives that containerd imports, in the form of `docker save`.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
)

// Image is an image of one layer.
type Image struct {
	// Name is the full name with a tag, as in "docker.io/library/busybox:1.36".
	Name string
	// Command is what a container runs unless told otherwise.
	Command []string
	// Files are in the order in which they are unpacked.
	Files []File
}

// File is a file, a folder or a symbolic link of an image. Its owner is root.
type File struct {
	// Path has no leading slash; that of a folder ends with one.
	Path    string
	Content []byte
	// Link makes it a symbolic link to there.
	Link string
	// Mode are its permissions.
	Mode int64
}

// Write writes the archive.
func (i Image) Write(out io.Writer) error {
	layer, err := pack(i.Files)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Cmd": i.Command, "Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return fmt.Errorf("encode image configuration: %w", err)
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{i.Name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return fmt.Errorf("encode image manifest: %w", err)
	}
	archive, err := pack([]File{
		{Path: "layer.tar", Content: layer, Mode: 0o644},
		{Path: "config.json", Content: config, Mode: 0o644},
		{Path: "manifest.json", Content: manifest, Mode: 0o644},
	})
	if err != nil {
		return err
	}
	if _, err := out.Write(archive); err != nil {
		return fmt.Errorf("write image %s: %w", i.Name, err)
	}
	return nil
}

func pack(files []File) ([]byte, error) {
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, file := range files {
		if err := archive.WriteHeader(file.header()); err != nil {
			return nil, fmt.Errorf("pack %s: %w", file.Path, err)
		}
		if _, err := archive.Write(file.Content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", file.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack image: %w", err)
	}
	return packed.Bytes(), nil
}

func (f File) header() *tar.Header {
	header := &tar.Header{Name: f.Path, Mode: f.Mode, Size: int64(len(f.Content)), Typeflag: tar.TypeReg}
	switch {
	case f.Link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, f.Link
	case strings.HasSuffix(f.Path, "/"):
		header.Typeflag = tar.TypeDir
	}
	return header
}
