package cluster

import (
	"io"
	"os"
	"testing"

	"github.com/keyturn/keyturn/hack/local/process"
)

func TestInspect(t *testing.T) {
	own, err := process.Identify(t.Context(), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	recycled := process.Identity{PID: own.PID, Started: "another time"}
	complete := &state{Components: []string{"etcd", "kube-apiserver"}}

	for name, test := range map[string]struct {
		processes map[string]process.Identity
		state     *state
		running   bool
	}{
		"nothing was ever started":               {},
		"all processes run":                      {processes: map[string]process.Identity{"etcd": own, "kube-apiserver": own}, state: complete, running: true},
		"one process ended, another has its PID": {processes: map[string]process.Identity{"etcd": own, "kube-apiserver": recycled}, state: complete},
		"one record is missing":                  {processes: map[string]process.Identity{"etcd": own}, state: complete},
		"the start was never finished":           {processes: map[string]process.Identity{"etcd": own, "kube-apiserver": own}},
	} {
		t.Run(name, func(t *testing.T) {
			l := layout{folder: t.TempDir()}
			for component, identity := range test.processes {
				if err := identity.WriteFile(l.identity(component)); err != nil {
					t.Fatal(err)
				}
			}
			if test.state != nil {
				if err := test.state.write(l.state()); err != nil {
					t.Fatal(err)
				}
			}
			found, err := inspect(t.Context(), l)
			if err != nil || found.running() != test.running {
				t.Errorf("running = %v, %v; want %v", found.running(), err, test.running)
			}
		})
	}
}

func TestClearMakesRoomAndSparesStrangers(t *testing.T) {
	own, err := process.Identify(t.Context(), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	l := layout{folder: t.TempDir()}
	recycled := process.Identity{PID: own.PID, Started: "another time"}
	if err := recycled.WriteFile(l.identity("etcd")); err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{l.identity("kube-apiserver"), l.state(), l.kubeconfig()} {
		if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	found, err := inspect(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if err := found.clear(t.Context(), l, io.Discard); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(l.run())
	if err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	if alive, err := own.Alive(t.Context()); err != nil || !alive {
		t.Errorf("this process is gone: %v", err)
	}
}
