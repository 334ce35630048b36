package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAClusterGetsNetworksThatTheHostHasNoRouteTo(t *testing.T) {
	for name, test := range map[string]struct {
		routes   string
		wantSlot uint8
		wantErr  string
	}{
		"the host has only its own network": {
			routes: `[{"dst":"default","gateway":"192.0.2.1"},{"dst":"192.0.2.0/24"},{"dst":"192.0.2.2","type":"local"}]`,
		},
		"another cluster has the first": {
			routes:   `[{"dst":"10.96.0.0/24"},{"dst":"10.200.0.0/24"},{"dst":"10.201.0.0/30"}]`,
			wantSlot: 1,
		},
		"only the link of another cluster is up yet": {routes: `[{"dst":"10.201.0.0/30"}]`, wantSlot: 1},
		"a single host has one of its addresses":     {routes: `[{"dst":"10.96.0.77"}]`, wantSlot: 1},
		"a private network lies across many": {
			routes:   `[{"dst":"10.200.0.0/20"}]`,
			wantSlot: 16,
		},
		"a private network has them all": {routes: `[{"dst":"10.0.0.0/8"}]`, wantErr: "10.200.0.0/16"},
	} {
		t.Run(name, func(t *testing.T) {
			taken, err := parseRoutes([]byte(test.routes))
			if err != nil {
				t.Fatal(err)
			}
			plans, err := free(taken)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error = %v, want one that says %q", err, test.wantErr)
				}
				return
			}
			if err != nil || plans[0].Slot != test.wantSlot {
				t.Errorf("free = %v, %v; want slot %d first", plans, err, test.wantSlot)
			}
		})
	}
}

func TestAddressesOfAPlan(t *testing.T) {
	plan := Plan{Slot: 7}
	got := map[string]netip.Addr{
		"node": plan.Node(), "host": plan.Host(), "gateway": plan.Gateway(), "kubernetes": plan.Kubernetes(), "dns": plan.DNS(),
	}
	want := map[string]netip.Addr{
		"node":       netip.MustParseAddr("10.200.7.1"),
		"host":       netip.MustParseAddr("10.201.7.1"),
		"gateway":    netip.MustParseAddr("10.201.7.2"),
		"kubernetes": netip.MustParseAddr("10.96.7.1"),
		"dns":        netip.MustParseAddr("10.96.7.10"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}
