package packages_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/hack/cluster/packages"
)

// staticProgram is the header of an ELF file that asks for no libraries: 64 bit, little endian, for x86-64.
const staticProgram = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x02\x00\x3e\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00"

func TestMissing(t *testing.T) {
	installed := []string{
		"/bin/ip", "/usr/bin/containerd", "/usr/lib/cni/ptp", "/usr/sbin/iptables", "/usr/sbin/runc", packages.Busybox,
	}
	everything := []string{"busybox-static", "containerd", "containernetworking-plugins", "iproute2", "iptables", "runc"}
	for name, test := range map[string]struct {
		installed []string
		busybox   string
		want      []string
	}{
		"nothing is installed":           {want: everything},
		"everything is":                  {installed: installed, busybox: staticProgram},
		"the busybox that is no static":  {installed: installed, busybox: "#!/bin/sh\n", want: []string{"busybox-static"}},
		"the container runtime is there": {installed: installed[1:2], want: append([]string{"busybox-static"}, everything[2:]...)},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, file := range test.installed {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(test.busybox), 0o600); err != nil {
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
