package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// preferredServerPort is where people expect a Kubernetes API server.
const preferredServerPort = 6443

// ports are all on the loopback address.
type ports struct {
	Etcd     int `json:"etcd"`
	EtcdPeer int `json:"etcdPeer"`
	Server   int `json:"server"`
	Webhook  int `json:"webhook"`
	HTTPS    int `json:"https"`
	Health   int `json:"health"`
	Metrics  int `json:"metrics"`
}

// choosePorts returns ports that are free now, all different. The API server gets the preferred one unless it is taken.
func choosePorts(ctx context.Context, preferred int) (chosen ports, err error) {
	var open []net.Listener
	defer func() {
		for _, listener := range open {
			err = errors.Join(err, listener.Close())
		}
	}()
	for _, port := range []*int{
		&chosen.Server, &chosen.Etcd, &chosen.EtcdPeer, &chosen.Webhook, &chosen.HTTPS, &chosen.Health, &chosen.Metrics,
	} {
		wanted := 0
		if port == &chosen.Server {
			wanted = preferred
		}
		listener, err := listenNear(ctx, wanted)
		if err != nil {
			return ports{}, fmt.Errorf("find a free port: %w", err)
		}
		open = append(open, listener)
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return chosen, nil
}

// listenNear listens on the wanted port or, when that is not to be had, on any.
func listenNear(ctx context.Context, wanted int) (net.Listener, error) {
	var config net.ListenConfig
	if listener, err := config.Listen(ctx, "tcp", address(wanted)); err == nil {
		return listener, nil
	}
	return config.Listen(ctx, "tcp", address(0))
}

func address(port int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(port))
}

func httpsURL(port int) string {
	return "https://" + address(port)
}
