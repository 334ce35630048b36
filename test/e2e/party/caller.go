package party

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
)

// Caller gets a document over and over, in turn through each of its clients.
type Caller struct {
	URL     string
	Clients []*http.Client

	mu     sync.Mutex
	counts Tally
	calls  int
}

// Call gets the document once.
func (c *Caller) Call(ctx context.Context) {
	err := c.get(ctx, c.Clients[c.calls%len(c.Clients)])
	c.calls++
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.count(err)
}

// Seen is what was seen until now.
func (c *Caller) Seen() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Tally{OK: c.counts.OK, Failed: maps.Clone(c.counts.Failed)}
}

// Counts tells what was seen.
func (c *Caller) Counts() http.HandlerFunc { return report(&c.mu, &c.counts) }

func (c *Caller) get(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, http.NoBody)
	if err != nil {
		return fmt.Errorf("get the document: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("get the document: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("get the document: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get the document: %s", response.Status)
	}
	return nil
}
