// Package front stands before the replicas of an operator as a Service does: it passes connections to one that is ready.
package front

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Front is a loopback address that leads to another.
type Front struct {
	listener net.Listener

	mu     sync.Mutex
	target string
	open   map[net.Conn]struct{}
}

// Listen accepts connections to the address until Close. They are closed at once while there is no target.
func Listen(ctx context.Context, address string) (*Front, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen before the operator: %w", err)
	}
	f := &Front{listener: listener, open: map[net.Conn]struct{}{}}
	go f.accept(ctx)
	return f, nil
}

// Lead sends connections to the address from now on, and ends those to another. Empty is nowhere.
func (f *Front) Lead(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.target == address {
		return
	}
	f.target = address
	for connection := range f.open {
		_ = connection.Close() // Some have ended meanwhile.
	}
}

// Close ends the front, not the connections.
func (f *Front) Close() error { return f.listener.Close() }

func (f *Front) accept(ctx context.Context) {
	for {
		connection, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.pass(ctx, connection)
	}
}

func (f *Front) pass(ctx context.Context, from net.Conn) {
	defer func() { _ = from.Close() }()
	f.mu.Lock()
	target := f.target
	f.mu.Unlock()
	const patience = time.Second
	to, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	f.follow(from, true)
	defer f.follow(from, false)
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

func (f *Front) follow(connection net.Conn, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open {
		f.open[connection] = struct{}{}
	} else {
		delete(f.open, connection)
	}
}
