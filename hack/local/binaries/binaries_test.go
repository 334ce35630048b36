package binaries

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnsureUsesTheGivenFolder(t *testing.T) {
	for name, test := range map[string]struct {
		programs []string
		wantErr  string
	}{
		"all programs":               {programs: []string{Etcd, APIServer, ControllerManager, Kubectl}},
		"what envtest archives hold": {programs: []string{Etcd, APIServer, Kubectl}},
		"two are missing":            {programs: []string{Kubectl}, wantErr: "no program etcd, kube-apiserver in that folder"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for _, program := range test.programs {
				writeFile(t, filepath.Join(folder, program), "", 0o700)
			}
			got, err := Ensure(t.Context(), t.TempDir(), folder, t.Output())
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error = %v, want one that says %q", err, test.wantErr)
				}
				return
			}
			if err != nil || got != folder {
				t.Errorf("Ensure = %q, %v; want %q", got, err, folder)
			}
		})
	}
}

func TestReadPinOfThisRepository(t *testing.T) {
	pin, err := readPin(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{pin.kubernetes, pin.etcd} {
		if !strings.HasPrefix(version, "v") {
			t.Errorf("version = %q", version)
		}
	}
	if want := "-X k8s.io/component-base/version.gitVersion=" + pin.kubernetes; !strings.Contains(pin.linkerFlags(), want) {
		t.Errorf("linker flags %q do not contain %q", pin.linkerFlags(), want)
	}
}

func TestBuiltOnceUntilTheVersionsChange(t *testing.T) {
	root := t.TempDir()
	module := filepath.Join(root, "hack", "kubernetes", "go.mod")
	writeFile(t, module, "require (\n\tgo.etcd.io/etcd/server/v3 v3.1.0\n\tk8s.io/kubernetes v1.2.3\n)\n", 0o600)
	pin, err := readPin(root)
	if err != nil {
		t.Fatal(err)
	}
	if pin.built() {
		t.Error("built, before anything was")
	}

	for _, program := range []string{Etcd, APIServer, ControllerManager, Kubectl} {
		writeFile(t, filepath.Join(pin.folder(), program), "", 0o700)
	}
	if pin.built() {
		t.Error("built, though nothing says from which versions")
	}
	writeFile(t, filepath.Join(pin.folder(), stampFile), pin.stamp, 0o600)
	if folder, err := Ensure(t.Context(), root, "", t.Output()); err != nil || folder != pin.folder() {
		t.Errorf("Ensure = %q, %v; want %q", folder, err, pin.folder())
	}

	writeFile(t, module, "require (\n\tgo.etcd.io/etcd/server/v3 v3.1.1\n\tk8s.io/kubernetes v1.2.3\n)\n", 0o600)
	newer, err := readPin(root)
	if err != nil {
		t.Fatal(err)
	}
	if newer.built() {
		t.Error("built, though the version of etcd changed since")
	}
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
