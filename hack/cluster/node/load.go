package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn/hack/cluster/command"
	"github.com/keyturn/keyturn/hack/cluster/image"
	"github.com/keyturn/keyturn/hack/cluster/machine"
	"github.com/keyturn/keyturn/hack/cluster/packages"
	"github.com/keyturn/keyturn/hack/local/gobuild"
	"github.com/keyturn/keyturn/hack/local/ready"
)

// Load imports images into the cluster from archives: OCI layouts or those of `docker save`. Pods use the names in them.
func Load(ctx context.Context, options Options, archives []string, out io.Writer) error {
	running, err := find(ctx, options)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		file, err := os.Open(archive)
		if err != nil {
			return fmt.Errorf("load images: %w", err)
		}
		names, err := importArchive(ctx, running, file)
		_ = file.Close() // Opened for reading only.
		if err != nil {
			return fmt.Errorf("load images of %s: %w", archive, err)
		}
		say(out, "%s", strings.TrimSpace(names))
	}
	return nil
}

func importArchive(ctx context.Context, p plan, archive io.Reader) (names string, err error) {
	return ctr(ctx, p, archive, "images", "import", "--snapshotter=native", "-")
}

// ctr runs containerd's client and returns what it wrote.
func ctr(ctx context.Context, p plan, input io.Reader, arguments ...string) (string, error) {
	arguments = append([]string{"--namespace=k8s.io", "--address=" + runtimeSocket}, arguments...)
	return command.Command{Launch: machine.Enter(p.machine), Input: input}.Run(ctx, "ctr", arguments...)
}

// loadKnown makes and loads the images that every cluster has.
func loadKnown(ctx context.Context, p plan, out io.Writer) error {
	images, err := knownImages(ctx, p.layout, out)
	if err != nil {
		return err
	}
	answering := ready.Question{What: containerdName, LogFile: p.layout.log(containerdName), Ask: func(ctx context.Context) error {
		_, err := ctr(ctx, p, nil, "version")
		return err
	}}
	if err := answering.Wait(ctx, startTimeout); err != nil {
		return err
	}
	for _, known := range images {
		var archive bytes.Buffer
		if err := known.Write(&archive); err != nil {
			return err
		}
		if _, err := importArchive(ctx, p, &archive); err != nil {
			return err
		}
	}
	return nil
}

func knownImages(ctx context.Context, l layout, out io.Writer) ([]image.Image, error) {
	pausePath := filepath.Join(l.programs(), "pause")
	build := gobuild.Build{
		What:        "pause",
		Folder:      l.root,
		Environment: []string{"CGO_ENABLED=0"},
		Flags:       []string{"-buildvcs=false", "-trimpath", "-ldflags=-s -w"},
		Packages:    []string{"./hack/cluster/pause"},
		Output:      pausePath,
	}
	if err := build.Run(ctx, out); err != nil {
		return nil, err
	}
	pause, err := os.ReadFile(pausePath)
	if err != nil {
		return nil, fmt.Errorf("read pause: %w", err)
	}
	busybox, err := os.ReadFile(packages.Busybox)
	if err != nil {
		return nil, fmt.Errorf("read busybox: %w", err)
	}
	applets, err := command.Command{}.Run(ctx, packages.Busybox, "--list")
	if err != nil {
		return nil, err
	}
	return []image.Image{image.Pause(pause), image.Busybox(busybox, strings.Fields(applets))}, nil
}
