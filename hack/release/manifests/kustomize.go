package manifests

import (
	"fmt"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kustomize builds a folder in the order in which its objects can be applied.
func Kustomize(folder string) ([]byte, error) {
	return build(filesys.MakeFsOnDisk(), folder)
}

func build(files filesys.FileSystem, folder string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(files, folder)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", folder, err)
	}
	manifest, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", folder, err)
	}
	return manifest, nil
}
