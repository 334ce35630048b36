package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeArchive writes an OCI image layout as a tar archive that holds the index under its name.
func writeArchive(archive string, index v1.ImageIndex, tag name.Tag) error {
	folder, err := os.MkdirTemp("", "keyturn-image-")
	if err != nil {
		return fmt.Errorf("make folder for the layout: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	// The first is what containerd and Docker import it as, the second is the OCI's own: the tag alone.
	names := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          tag.Name(),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	})
	if err := path.AppendIndex(index, names); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	return packFolder(archive, folder)
}

// packFolder packs files in the order of their names, and nothing of them but name and content.
func packFolder(archive, folder string) (err error) {
	if err := os.MkdirAll(filepath.Dir(archive), 0o750); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	file, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	defer func() {
		if closed := file.Close(); err == nil && closed != nil {
			err = fmt.Errorf("write archive: %w", closed)
		}
	}()
	packed := tar.NewWriter(file)
	root := os.DirFS(folder)
	if err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return packFile(packed, root, name)
	}); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if err := packed.Close(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

func packFile(packed *tar.Writer, root fs.FS, name string) error {
	content, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	if err := packed.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size(), Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err = io.Copy(packed, content)
	return err
}
