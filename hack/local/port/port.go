// Package port finds ports on the loopback address for servers.
package port

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
)

// Ports below those that the kernel gives to connections: a server that is started again finds its port free.
const (
	lowest = 20000
	ports  = 12000
)

// Listen listens on a port that nobody else has. Other processes begin to look elsewhere.
func Listen(ctx context.Context) (net.Listener, error) {
	const stride = 97
	var last error
	for i := range ports {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+(os.Getpid()*stride+i)%ports))
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("find a free port: %w", last)
}
