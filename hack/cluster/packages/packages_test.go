package packages_test

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/hack/cluster/packages"
)

func TestMissing(t *testing.T) {
	installed := []string{
		"/bin/ip", "/usr/bin/containerd", "/usr/lib/cni/ptp", "/usr/sbin/iptables", "/usr/sbin/runc", packages.Busybox,
	}
	everything := []string{"busybox-static", "containerd", "containernetworking-plugins", "iproute2", "iptables", "runc"}
	for name, test := range map[string]struct {
		installed []string
		busybox   []byte
		want      []string
	}{
		"nothing is installed":           {want: everything},
		"everything is":                  {installed: installed, busybox: program(t, false)},
		"busybox needs a loader":         {installed: installed, busybox: program(t, true), want: everything[:1]},
		"busybox is no program":          {installed: installed, busybox: []byte("#!/bin/sh\n"), want: everything[:1]},
		"the container runtime is there": {installed: installed[1:2], want: slices.Delete(slices.Clone(everything), 1, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, file := range test.installed {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, test.busybox, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(test.want, packages.Missing(root)); diff != "" {
				t.Errorf("missing packages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoMissesPackagesIsToldHowToInstallThem(t *testing.T) {
	told := packages.MissingError{"containerd", "runc"}.Error()
	for _, want := range []string{
		"packages are missing: containerd, runc",
		"apt-get install --yes --no-install-recommends containerd runc\n",
		"make cluster-up INSTALL=yes",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("the error %q does not say %q", told, want)
		}
	}
}

// program is the beginning of an ELF file; one that asks for a loader does so in its only part.
func program(t *testing.T, loader bool) []byte {
	t.Helper()
	header := elf.Header64{Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(header.Ident[:], elf.ELFMAG+string([]byte{byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}))
	if loader {
		header.Phnum = 1
	}
	content, err := binary.Append(nil, binary.LittleEndian, header)
	if err != nil {
		t.Fatal(err)
	}
	content, err = binary.Append(content, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_INTERP)})
	if err != nil {
		t.Fatal(err)
	}
	return content
}
