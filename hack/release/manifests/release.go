package manifests

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/util"
)

// image is what config/default and the chart run as long as they are in a checkout.
const image, development = "ghcr.io/keyturn/keyturn", "v0.0.0-dev"

// Release makes a manifest run the image of a version.
func Release(manifest []byte, version string) ([]byte, error) {
	named := []byte("image: " + image + ":" + development + "\n")
	if found := bytes.Count(manifest, named); found != 1 {
		return nil, fmt.Errorf("set version: %q is in the manifest %d times instead of once", named, found)
	}
	return bytes.Replace(manifest, named, []byte("image: "+image+":"+version+"\n"), 1), nil
}

// Package writes a chart as an archive into a folder and returns the archive's path. The version begins with v, which the
// chart's own, being a semantic version, does not. All files of the archive are of the date.
func Package(folder, output, version string, date time.Time) (string, error) {
	loaded, err := LoadChart(folder)
	if err != nil {
		return "", err
	}
	loaded.Metadata.Version, loaded.Metadata.AppVersion = strings.TrimPrefix(version, "v"), version
	loaded.ModTime, loaded.SchemaModTime = date, date
	for _, files := range [][]*common.File{loaded.Raw, loaded.Templates, loaded.Files} {
		for _, file := range files {
			file.ModTime = date
		}
	}
	archive, err := util.Save(loaded, output)
	if err != nil {
		return "", fmt.Errorf("package chart: %w", err)
	}
	return archive, nil
}
