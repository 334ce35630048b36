package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/ko/pkg/build"
)

const (
	program = "github.com/keyturn/keyturn/cmd/keyturn"
	// nonRoot is the user and group that distroless images call nonroot. It is a number, because no file of the image names it
	// and because the kubelet can tell of a number alone that it is not root.
	nonRoot = "65532:65532"
)

// release is what an image is made of.
type release struct {
	source, version, repository string
	created                     time.Time
	platforms                   []string // such as linux/arm64
}

// build compiles the operator for each platform and writes an SBOM for each and one for the whole into a folder.
func (r release) build(ctx context.Context, sboms string) (v1.ImageIndex, error) {
	builder, err := build.NewGo(ctx, r.source,
		build.WithBaseImages(r.base),
		build.WithPlatforms(r.platforms...),
		build.WithCreationTime(v1.Time{Time: r.created}),
		build.WithKoDataCreationTime(v1.Time{Time: r.created}),
		// What a developer has set for other builds must not show in this one.
		build.WithDefaultEnv([]string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0"}),
		build.WithTrimpath(true),
		build.WithDefaultLdflags([]string{"-s", "-w", "-X main.version=" + r.version}),
		build.WithUser(nonRoot),
		build.WithAnnotation("org.opencontainers.image.source", "https://github.com/keyturn/keyturn"),
		build.WithAnnotation("org.opencontainers.image.version", r.version),
		build.WithAnnotation("org.opencontainers.image.licenses", "Apache-2.0"),
		build.WithSPDX(koVersion()),
		build.WithSBOMDir(sboms),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare build: %w", err)
	}
	built, err := builder.Build(ctx, build.StrictScheme+program)
	if err != nil {
		return nil, fmt.Errorf("build image: %w", err)
	}
	index, many := built.(v1.ImageIndex)
	if !many {
		return nil, fmt.Errorf("build image: there is only one image for platforms %v, name at least two", r.platforms)
	}
	return index, nil
}

// base is an image without any file for each platform: the operator is one static program that reads no file of its image.
func (r release) base(context.Context, string) (name.Reference, build.Result, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, text := range r.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, nil, fmt.Errorf("read platform %q: %w", text, err)
		}
		image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
			OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
			RootFS: v1.RootFS{Type: "layers"},
			Config: v1.Config{Env: []string{"PATH=/"}},
		})
		if err != nil {
			return nil, nil, fmt.Errorf("make base image: %w", err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Platform: platform,
		}})
	}
	scratch, err := name.ParseReference("scratch")
	if err != nil {
		return nil, nil, fmt.Errorf("name base image: %w", err)
	}
	return scratch, index, nil
}

// koVersion is named in the SBOM as what made it.
func koVersion() string {
	if info, found := debug.ReadBuildInfo(); found {
		for _, module := range info.Deps {
			if module.Path == "github.com/google/ko" {
				return module.Version
			}
		}
	}
	return "unknown"
}
