package cluster

import (
	"net"
	"testing"
)

func TestChoosePortsAvoidsATakenPort(t *testing.T) {
	taken := listen(t)
	defer func() { _ = taken.Close() }()

	chosen, err := choosePorts(t.Context(), portOf(taken))
	if err != nil {
		t.Fatal(err)
	}
	distinct := map[int]bool{0: true, portOf(taken): true}
	for _, port := range []int{
		chosen.Etcd, chosen.EtcdPeer, chosen.Server, chosen.Webhook, chosen.HTTPS, chosen.Health, chosen.Metrics,
	} {
		if distinct[port] {
			t.Errorf("port %d is taken, chosen twice or none at all, in %+v", port, chosen)
		}
		distinct[port] = true
	}
}

func TestChoosePortsKeepsThePreferredOne(t *testing.T) {
	// Another program on this machine may take the port in between, but hardly so many times in a row.
	for range 10 {
		listener := listen(t)
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		chosen, err := choosePorts(t.Context(), portOf(listener))
		if err != nil {
			t.Fatal(err)
		}
		if chosen.Server == portOf(listener) {
			return
		}
	}
	t.Error("the API server never got the preferred port, which was free")
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address(0))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func portOf(listener net.Listener) int {
	return listener.Addr().(*net.TCPAddr).Port
}
