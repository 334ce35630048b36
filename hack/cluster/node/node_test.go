package node

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/hack/cluster/network"
)

func TestOnlyRootOnLinuxHasAClusterAndOthersAreToldWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		system  string
		user    int
		wantErr string
	}{
		"root on Linux":    {system: "linux"},
		"a user on Linux":  {system: "linux", user: 1000, wantErr: "you are user 1000: run this as root, or use `make up`"},
		"root on macOS":    {system: "darwin", wantErr: "this is darwin: use a virtual machine with Debian, or `make up`"},
		"a user somewhere": {system: "freebsd", user: 1000, wantErr: "this is freebsd"},
	} {
		t.Run(name, func(t *testing.T) {
			err := requireRoot(test.system, test.user)
			if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("error = %v, want %q", err, test.wantErr)
			}
		})
	}
}

func TestEachCheckoutHasNamesOfItsOwn(t *testing.T) {
	const longest = 15 // IFNAMSIZ of Linux, without the zero at the end.
	here, there := layout{root: "/src/keyturn"}, layout{root: "/src/keyturn-two"}
	if here.name() == there.name() {
		t.Errorf("both checkouts call their cluster %s", here.name())
	}
	for _, device := range []string{network.HostDevice(here.name()), network.NodeDevice(here.name())} {
		if len(device) > longest {
			t.Errorf("%s has %d characters, and a network device may have %d", device, len(device), longest)
		}
	}
}

func TestDownLeavesNothingButLogs(t *testing.T) {
	l := layout{root: t.TempDir()}
	for _, name := range []string{"lock", "log/kubelet.log", "log/containers/web.log", "state.json", "pki/ca.crt", "lib/etcd/member", "authentication.yaml"} {
		if err := writeFile(l.file(name), nil); err != nil {
			t.Fatal(err)
		}
	}
	remaining, err := remainingFiles(t.Context(), l)
	if err != nil || len(remaining) != 4 {
		t.Errorf("remains = %v, %v; want 4 files", remaining, err)
	}
	if err := l.clear(); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = filepath.WalkDir(l.file(), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left = append(left, strings.TrimPrefix(path, l.file()+"/"))
		}
		return err
	})
	if diff := cmp.Diff([]string{"lock", "log/kubelet.log"}, left); err != nil || diff != "" {
		t.Errorf("left (-want +got): %v\n%s", err, diff)
	}
	if remaining, err := remainingFiles(t.Context(), l); err != nil || len(remaining) > 0 {
		t.Errorf("remains = %v, %v; want nothing", remaining, err)
	}
}

func TestNoClusterIsFoundWhereNoneIs(t *testing.T) {
	for name, prepare := range map[string]func(layout) error{
		"nothing was ever started":          func(layout) error { return nil },
		"a start was interrupted":           func(l layout) error { return writeFile(l.identity(machineName), []byte(`{"pid":1`)) },
		"its description is damaged":        func(l layout) error { return writeFile(l.state(), []byte("{")) },
		"its processes ended long ago":      writeDead,
		"it came up but no record is there": func(l layout) error { return state{}.write(l.state()) },
	} {
		t.Run(name, func(t *testing.T) {
			l := layout{root: t.TempDir()}
			if err := prepare(l); err != nil {
				t.Fatal(err)
			}
			if _, err := described(t.Context(), l); !errors.Is(err, errNotUp) {
				t.Errorf("error = %v, want %v", err, errNotUp)
			}
			if up, err := isUp(t.Context(), l); up || err != nil {
				t.Errorf("up = %v, %v", up, err)
			}
		})
	}
}

// writeDead describes a cluster whose first process had the ID of this one, at another time.
func writeDead(l layout) error {
	record, err := json.Marshal(map[string]any{"pid": os.Getpid(), "started": "another boot"})
	if err != nil {
		return err
	}
	return errors.Join(state{}.write(l.state()), writeFile(l.identity(machineName), record))
}

func TestConfigurationFollowsTheNetworkOfTheCluster(t *testing.T) {
	p := plan{layout: layout{root: t.TempDir()}, network: network.Plan{Slot: 3}}
	if err := writeConfiguration(p); err != nil {
		t.Fatal(err)
	}
	for file, wants := range map[string][]string{
		"resolv.conf":     {"nameserver 10.96.3.10\n", "search svc.cluster.local cluster.local\n"},
		"Corefile":        {"bind 10.96.3.10\n"},
		"kubelet.yaml":    {"- 10.96.3.10\n", "cgroupRoot: /" + p.layout.name() + "\n"},
		"kube-proxy.yaml": {"clusterCIDR: 10.200.3.0/24\n"},
		networkFile:       {`"subnet":"10.200.3.0/24"`},
		"containerd.toml": {`sandbox_image = "keyturn.dev/pause:local"`, `conf_dir = "/run/cluster/cni"`},
	} {
		content, err := os.ReadFile(p.layout.file(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(content), want) {
				t.Errorf("%s does not say %q:\n%s", file, want, content)
			}
		}
	}
	for _, want := range []string{"--service-cluster-ip-range=10.96.3.0/24", "--advertise-address=10.200.3.1"} {
		if arguments := p.apiServer().Args; !slices.Contains(arguments, want) {
			t.Errorf("kube-apiserver is not told %s but %v", want, arguments)
		}
	}
	for _, want := range []string{"10.96.3.1", "10.200.3.1", "kubernetes.default.svc"} {
		if names := serverNames(p); !slices.Contains(names, want) {
			t.Errorf("the certificate of kube-apiserver is not for %s but for %v", want, names)
		}
	}
}
