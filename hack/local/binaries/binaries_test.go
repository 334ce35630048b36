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
	for _, version := range []string{pin.kubernetes, pin.etcd, pin.coreDNS} {
		if !strings.HasPrefix(version, "v") {
			t.Errorf("version = %q", version)
		}
	}
	if want := "-X k8s.io/component-base/version.gitVersion=" + pin.kubernetes; !strings.Contains(pin.linkerFlags(), want) {
		t.Errorf("linker flags %q do not contain %q", pin.linkerFlags(), want)
	}
}

func TestBuiltOnceUntilTheVersionsChange(t *testing.T) {
	for name, test := range map[string]struct {
		choose  func(pin) set
		ensure  func(root string) (string, error)
		changed string
	}{
		"the control plane": {
			choose:  pin.controlPlane,
			ensure:  func(root string) (string, error) { return Ensure(t.Context(), root, "", t.Output()) },
			changed: "kubernetes",
		},
		"a node, when Kubernetes changes": {
			choose:  pin.node,
			ensure:  func(root string) (string, error) { return EnsureNode(t.Context(), root, t.Output()) },
			changed: "kubernetes",
		},
		"a node, when CoreDNS changes": {
			choose:  pin.node,
			ensure:  func(root string) (string, error) { return EnsureNode(t.Context(), root, t.Output()) },
			changed: "coredns",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			writeModules(t, root)
			chosen := choose(t, root, test.choose)
			if chosen.built() {
				t.Error("built, before anything was")
			}
			for _, program := range chosen.programs {
				writeFile(t, filepath.Join(chosen.folder, program), "", 0o700)
			}
			if chosen.built() {
				t.Error("built, though nothing says from which versions")
			}
			writeFile(t, filepath.Join(chosen.folder, stampFile), chosen.stamp, 0o600)
			if folder, err := test.ensure(root); err != nil || folder != chosen.folder {
				t.Errorf("ensured %q, %v; want %q", folder, err, chosen.folder)
			}

			content := modules()[test.changed] + "// another version of something\n"
			writeFile(t, filepath.Join(root, "hack", test.changed, "go.mod"), content, 0o600)
			if choose(t, root, test.choose).built() {
				t.Error("built, though its go.mod changed since")
			}
		})
	}
}

func TestTheControlPlaneDoesNotWaitForCoreDNS(t *testing.T) {
	root := t.TempDir()
	writeModules(t, root)
	before := choose(t, root, pin.controlPlane)
	writeFile(t, filepath.Join(root, "hack", "coredns", "go.mod"), "require github.com/coredns/coredns v1.16.0\n", 0o600)
	if after := choose(t, root, pin.controlPlane); after.stamp != before.stamp {
		t.Error("another CoreDNS has the control plane built anew")
	}
}

func modules() map[string]string {
	return map[string]string{
		"kubernetes": "require (\n\tgo.etcd.io/etcd/server/v3 v3.1.0\n\tk8s.io/kubernetes v1.2.3\n)\n",
		"coredns":    "require github.com/coredns/coredns v1.15.0\n",
	}
}

func writeModules(t *testing.T, root string) {
	t.Helper()
	for name, content := range modules() {
		writeFile(t, filepath.Join(root, "hack", name, "go.mod"), content, 0o600)
	}
}

func choose(t *testing.T, root string, from func(pin) set) set {
	t.Helper()
	pin, err := readPin(root)
	if err != nil {
		t.Fatal(err)
	}
	return from(pin)
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
