package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// loadConnections is how many connections ask at once, each one request after the other, as proxies and clients do that keep
// connections open.
const loadConnections = 16

// load is what one server is asked. Requests are prepared: the client must cost less than the server that it measures.
type load struct {
	// name says who answers.
	name string
	// address is host:port.
	address string
	// requests are sent in turn, whole, as HTTP/1.1 has them.
	requests [][]byte
	// pid is the process that answers.
	pid int

	connections []*connection
	next        atomic.Int64
}

// plainRequest is a request as HTTP/1.1 has it; the body may be empty.
func plainRequest(method, path, body string, headers ...string) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, path)
	for _, header := range headers {
		text.WriteString(header + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(body))
	}
	return []byte(text.String() + "\r\n" + body)
}

// connection is one to a server.
type connection struct {
	net.Conn

	reader *bufio.Reader
}

func dial(ctx context.Context, address string) (*connection, error) {
	//nolint:gosec // It is told nothing that is a secret elsewhere, and believed nothing.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
	opened, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &connection{Conn: opened, reader: bufio.NewReader(opened)}, nil
}

// exchange sends a request and reads the answer, whose body it returns if it is asked to keep it.
func (c *connection) exchange(request []byte, keep bool) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		switch name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " "); {
		case first:
			status, err = strconv.Atoi(value[:min(3, len(value))])
		case name == "Content-Length:":
			length, err = strconv.Atoi(value)
		case name == "Transfer-Encoding:":
			err = errors.New("the answer has no length")
		case name == "":
			if keep {
				body = make([]byte, length)
				_, err = io.ReadFull(c.reader, body)
				return status, body, err
			}
			_, err = c.reader.Discard(length)
			return status, nil, err
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// open opens the connections over which a server is asked.
func (l *load) open(ctx context.Context) error {
	for range loadConnections {
		opened, err := dial(ctx, l.address)
		if err != nil {
			return err
		}
		l.connections = append(l.connections, opened)
	}
	return nil
}

func (l *load) close() {
	for _, one := range l.connections {
		_ = one.Close()
	}
	l.connections = nil
}

// press asks as fast as the server answers, for so long. Any other status than 200 fails.
func (w *World) press(ctx context.Context, l *load, long time.Duration) (outcome, error) {
	before, err := usageOf(l.pid)
	if err != nil {
		return outcome{}, err
	}
	began := w.Clock.Now()
	var answered atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range l.connections {
		group.Go(func() error {
			for w.Clock.Since(began) < long && ctx.Err() == nil {
				request := l.requests[int(l.next.Add(1))%len(l.requests)]
				if status, _, err := one.exchange(request, false); err != nil || status != http.StatusOK {
					return fmt.Errorf("%s answers %d: %w", l.name, status, err)
				}
				answered.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return outcome{}, err
	}
	took := w.Clock.Since(began)
	after, err := usageOf(l.pid)
	return outcome{answered: int(answered.Load()), took: took, cpu: after.CPU - before.CPU}, err
}

// outcome is what a server has done under load.
type outcome struct {
	answered int
	took     time.Duration
	cpu      time.Duration
}

func (o outcome) plus(other outcome) outcome {
	return outcome{answered: o.answered + other.answered, took: o.took + other.took, cpu: o.cpu + other.cpu}
}

// perSecond is answers in each second.
func (o outcome) perSecond() float64 { return float64(o.answered) / o.took.Seconds() }

// cpuEach is CPU time of the server for each answer, in microseconds.
func (o outcome) cpuEach() float64 { return float64(o.cpu.Microseconds()) / float64(o.answered) }
