// Package network gives a cluster addresses that are free on this machine, and connects the two.
package network

import (
	"errors"
	"net/netip"
)

// Plan is all the addresses of one cluster. Two clusters on one machine differ in Slot.
type Plan struct {
	Slot uint8 `json:"slot"`
}

// slots is how many plans there are.
const slots uint8 = 200

// Pods is the network of the pods.
func (p Plan) Pods() netip.Prefix { return p.prefix(10, 200, 0, 24) }

// Services is the network of the Services' cluster IPs.
func (p Plan) Services() netip.Prefix { return p.prefix(10, 96, 0, 24) }

// Link is the network between the host and the cluster.
func (p Plan) Link() netip.Prefix { return p.prefix(10, 201, 0, 30) }

// Node is the address of the cluster's only node, and of its API server.
func (p Plan) Node() netip.Addr { return p.Pods().Addr().Next() }

// Host is the address of the host on the link.
func (p Plan) Host() netip.Addr { return p.Link().Addr().Next() }

// Gateway is the address of the cluster on the link.
func (p Plan) Gateway() netip.Addr { return p.Host().Next() }

// Kubernetes is the cluster IP of the Service of the API server.
func (p Plan) Kubernetes() netip.Addr { return p.Services().Addr().Next() }

// DNS is where Service names are resolved, the tenth address as everywhere.
func (p Plan) DNS() netip.Addr {
	bytes := p.Services().Addr().As4()
	bytes[3] = 10
	return netip.AddrFrom4(bytes)
}

func (p Plan) prefix(a, b, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, p.Slot, d}), bits)
}

func (p Plan) overlaps(taken netip.Prefix) bool {
	return p.Pods().Overlaps(taken) || p.Services().Overlaps(taken) || p.Link().Overlaps(taken)
}

// free returns the plans that use none of the taken networks.
func free(taken []netip.Prefix) ([]Plan, error) {
	var plans []Plan
next:
	for slot := range slots {
		plan := Plan{Slot: slot}
		for _, network := range taken {
			if plan.overlaps(network) {
				continue next
			}
		}
		plans = append(plans, plan)
	}
	if len(plans) == 0 {
		return nil, errors.New("no free network for the cluster: it needs a subnet in each of " +
			"10.200.0.0/16, 10.96.0.0/16 and 10.201.0.0/16, and this machine has routes to all of them (ip route)")
	}
	return plans, nil
}
