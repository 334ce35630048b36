package party

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn/test/verifier"
)

// Presented is what a Presenter has seen.
type Presented struct {
	Tally

	// Tokens and Keys are how many different tokens the file has held, and by how many keys they were signed.
	Tokens int `json:"tokens"`
	Keys   int `json:"keys"`
	// LeastLife is the shortest life that a token had left when it was presented, in seconds.
	LeastLife float64 `json:"leastLife"`
}

// Presenter reads a mounted token afresh each time and presents it as a bearer token (RFC 6750).
type Presenter struct {
	// File is the token's, in a mounted Secret.
	File string
	// URL is where it is presented.
	URL    string
	Client *http.Client

	mu           sync.Mutex
	counts       Presented
	tokens, keys map[string]bool
}

// Present presents the token as it is in the file now.
func (p *Presenter) Present(ctx context.Context, now time.Time) {
	err := p.present(ctx, now)
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.count(err)
}

// Counts tells what was seen.
func (p *Presenter) Counts() http.HandlerFunc { return report(&p.mu, &p.counts) }

func (p *Presenter) present(ctx context.Context, now time.Time) error {
	compact, err := os.ReadFile(p.File)
	if err != nil {
		return errors.New("the token cannot be read")
	}
	if err := p.see(string(compact), now); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, http.NoBody)
	if err != nil {
		return fmt.Errorf("present the token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+string(compact))
	response, err := p.Client.Do(request)
	if err != nil {
		return fmt.Errorf("present the token: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("present the token: %w", err)
	}
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("refused with %s: %s", response.Status, strings.TrimSpace(string(answer)))
	}
	return nil
}

// see notes which token the file holds, and for how long it lives yet.
func (p *Presenter) see(compact string, now time.Time) error {
	keyID, claims, err := verifier.Read(compact)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil {
		p.tokens, p.keys = map[string]bool{}, map[string]bool{}
	}
	left := claims.Expiry.Time().Sub(now).Seconds()
	if len(p.tokens) == 0 || left < p.counts.LeastLife {
		p.counts.LeastLife = left
	}
	p.tokens[claims.ID], p.keys[keyID] = true, true
	p.counts.Tokens, p.counts.Keys = len(p.tokens), len(p.keys)
	return nil
}
