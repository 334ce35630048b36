package cluster

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/keyturn/keyturn/hack/local/port"
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
	for _, number := range []*int{
		&chosen.Server, &chosen.Etcd, &chosen.EtcdPeer, &chosen.Webhook, &chosen.HTTPS, &chosen.Health, &chosen.Metrics,
	} {
		wanted := 0
		if number == &chosen.Server {
			wanted = preferred
		}
		listener, err := listenNear(ctx, wanted)
		if err != nil {
			return ports{}, err
		}
		open = append(open, listener)
		*number = listener.Addr().(*net.TCPAddr).Port
	}
	return chosen, nil
}

// listenNear listens on the wanted port or, when that is not to be had, on any.
func listenNear(ctx context.Context, wanted int) (net.Listener, error) {
	if wanted != 0 {
		if listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address(wanted)); err == nil {
			return listener, nil
		}
	}
	return port.Listen(ctx)
}

func address(number int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(number))
}

func httpsURL(number int) string {
	return "https://" + address(number)
}
