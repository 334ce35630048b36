package packages_test

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// A program in the place of apt-get tells whether a server that it installs would be started.
func TestInstallStartsNoServer(t *testing.T) {
	for name, test := range map[string]struct {
		policy string // that is there before
		fails  bool
		want   string
	}{
		"nobody has decided on servers":   {want: "update 101\ninstall 101\n"},
		"somebody has":                    {policy: "#!/bin/sh\nexit 104\n", want: "update 104\ninstall 104\n"},
		"the installation does not go on": {fails: true, want: "update 101\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root, programs := t.TempDir(), t.TempDir()
			policy, told := filepath.Join(root, "usr", "sbin", "policy-rc.d"), filepath.Join(root, "told")
			if err := os.MkdirAll(filepath.Dir(policy), 0o700); err != nil {
				t.Fatal(err)
			}
			if test.policy != "" {
				write(t, policy, test.policy)
			}
			apt := fmt.Sprintf("#!/bin/sh\n%s containerd start\necho $1 $? >>%s\n", policy, told)
			if test.fails {
				apt += "exit 100\n"
			}
			write(t, filepath.Join(programs, "apt-get"), apt)
			t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
			if err := packages.Install(t.Context(), root, []string{"containerd"}, io.Discard); (err != nil) != test.fails {
				t.Errorf("Install returned %v", err)
			}
			if diff := cmp.Diff(test.want, read(t, told)); diff != "" {
				t.Errorf("what apt-get was told of servers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.policy, read(t, policy)); diff != "" {
				t.Errorf("the policy afterwards (-before +after):\n%s", diff)
			}
		})
	}
}

func write(t *testing.T, path, program string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(program), 0o700); err != nil { //nolint:gosec // It is run.
		t.Fatal(err)
	}
}

// read is empty for a file that there is not.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(content)
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
