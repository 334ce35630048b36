package tokenservice

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// maxHeldBytes bounds what the bodies of all requests have together. The server takes 8,192 requests at once, whose bodies, with what
// is made of them, would otherwise be more than a Pod has, and end its controllers and webhooks too.
const maxHeldBytes = 32 << 20

var errCrowded = errors.New("the bodies of all requests together are too large")

// bodies counts what was received of bodies that are still needed. Whoever sends slowly keeps others out by no more than he has sent.
type bodies struct{ held atomic.Int64 }

// count counts the body of a request from now on, until release is called.
func (b *bodies) count(r *http.Request) (release func()) {
	counted := &body{ReadCloser: r.Body, all: b}
	r.Body = counted
	return func() { b.held.Add(-counted.taken) }
}

type body struct {
	io.ReadCloser
	all   *bodies
	taken int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.taken += int64(n)
	if b.all.held.Add(int64(n)) > maxHeldBytes {
		return n, errCrowded
	}
	return n, err //nolint:wrapcheck // A Reader's io.EOF is no error, and net/http tells its own apart.
}
