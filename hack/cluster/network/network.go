package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/hack/cluster/command"
)

// Connect gives the cluster whose first process has the ID a network, and makes the host reach it. HostDevice is how the
// host's end of the connection is called; it is gone when the cluster's network namespace is.
func Connect(ctx context.Context, pid int, name string, enter func(*exec.Cmd) error) (Plan, error) {
	taken, err := routes(ctx)
	if err != nil {
		return Plan{}, err
	}
	plans, err := free(taken)
	if err != nil {
		return Plan{}, err
	}
	if err := ip(ctx, nil, "link", "add", HostDevice(name), "type", "veth", "peer", "name", NodeDevice(name), "netns", strconv.Itoa(pid)); err != nil {
		return Plan{}, err
	}
	for _, plan := range plans {
		err = claim(ctx, plan, name)
		if err == nil {
			return plan, setUp(ctx, plan, name, enter)
		}
		if !errors.Is(err, errTaken) {
			break
		}
	}
	return Plan{}, err
}

// HostDevice is the name of the host's network device that leads to the cluster.
func HostDevice(cluster string) string { return cluster + "h" }

// NodeDevice is the name of the cluster's network device that leads to the host. No other network namespace has it.
func NodeDevice(cluster string) string { return cluster + "n" }

// Disconnect removes the host's network device, and with it the routes that lead there. It is no error when there is none.
func Disconnect(ctx context.Context, name string) error {
	connected, err := Connected(name)
	if err != nil || !connected {
		return err
	}
	err = ip(ctx, nil, "link", "delete", HostDevice(name))
	if connected, _ := Connected(name); !connected {
		return nil // The kernel, which removes it some time after the cluster has ended, was faster.
	}
	return err
}

// Connected tells whether the host has a network device that leads to the cluster.
func Connected(name string) (bool, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return false, fmt.Errorf("list network devices: %w", err)
	}
	return slices.ContainsFunc(devices, func(device net.Interface) bool { return device.Name == HostDevice(name) }), nil
}

var errTaken = errors.New("the network is taken")

// claim adds the routes of the host. Another cluster that is starting may have been faster.
func claim(ctx context.Context, plan Plan, name string) error {
	device := HostDevice(name)
	for _, arguments := range [][]string{
		{"link", "set", device, "up"},
		{"address", "flush", "dev", device},
		{"address", "add", netip.PrefixFrom(plan.Host(), plan.Link().Bits()).String(), "dev", device},
		{"route", "add", plan.Pods().String(), "via", plan.Gateway().String()},
		{"route", "add", plan.Services().String(), "via", plan.Gateway().String()},
	} {
		if err := ip(ctx, nil, arguments...); err != nil {
			return err
		}
	}
	return nil
}

func setUp(ctx context.Context, plan Plan, name string, enter func(*exec.Cmd) error) error {
	const bridge = "node"
	for _, arguments := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", plan.DNS().String() + "/32", "dev", "lo"},
		{"link", "add", bridge, "type", "bridge"},
		{"address", "add", netip.PrefixFrom(plan.Node(), plan.Pods().Bits()).String(), "dev", bridge},
		{"link", "set", bridge, "up"},
		{"address", "add", netip.PrefixFrom(plan.Gateway(), plan.Link().Bits()).String(), "dev", NodeDevice(name)},
		{"link", "set", NodeDevice(name), "up"},
		// Without a route the programs of the node could not even try; kube-proxy sends the packets elsewhere.
		{"route", "add", plan.Services().String(), "dev", bridge},
	} {
		if err := ip(ctx, enter, arguments...); err != nil {
			return err
		}
	}
	return nil
}

// routes returns the networks that the host has routes to, except by default.
func routes(ctx context.Context) ([]netip.Prefix, error) {
	listed, err := command.Command{}.Run(ctx, "ip", "-json", "-4", "route", "show", "table", "all")
	if err != nil {
		return nil, err
	}
	return parseRoutes([]byte(listed))
}

func parseRoutes(output []byte) ([]netip.Prefix, error) {
	var listed []struct {
		Destination string `json:"dst"`
	}
	if err := json.Unmarshal(output, &listed); err != nil {
		return nil, fmt.Errorf("parse routes: %w", err)
	}
	var networks []netip.Prefix
	for _, route := range listed {
		if !strings.Contains(route.Destination, "/") {
			route.Destination += "/32"
		}
		if network, err := netip.ParsePrefix(route.Destination); err == nil && network.Bits() > 0 {
			networks = append(networks, network)
		}
	}
	return networks, nil
}

// ip returns errTaken when what it should add is there already.
func ip(ctx context.Context, launch func(*exec.Cmd) error, arguments ...string) error {
	_, err := command.Command{Launch: launch}.Run(ctx, "ip", arguments...)
	if err != nil && strings.Contains(err.Error(), "File exists") {
		return fmt.Errorf("%w: %w", errTaken, err)
	}
	return err
}
