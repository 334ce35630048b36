package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func newEnvironment() (*envtest.Environment, error) {
	crds, err := Path("config", "crd", "bases")
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		Scheme:                   Scheme(),
		CRDDirectoryPaths:        []string{crds},
		ErrorIfCRDPathMissing:    true,
		CRDInstallOptions:        envtest.CRDInstallOptions{MaxTime: startTimeout},
		ControlPlaneStartTimeout: startTimeout,
	}
	// A loopback address is no lawful endpoint of the kubernetes Service.
	environment.ControlPlane.GetAPIServer().Configure().Set("endpoint-reconciler-type", "none")
	return environment, nil
}

// Path returns the absolute path of a file or folder of this repository, for a test in any of its folders.
func Path(elements ...string) (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the top folder of the repository: %w", err)
	}
	for {
		_, err := os.Stat(filepath.Join(folder, "go.mod"))
		if err == nil {
			return filepath.Join(append([]string{folder}, elements...)...), nil
		}
		above := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || above == folder {
			return "", fmt.Errorf("find the top folder of the repository: %w", err)
		}
		folder = above
	}
}
