package tokenstore

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// undeliveredLimit is how many families are remembered; more than there are transactions in flight when a database goes away.
const undeliveredLimit = 1000

// undelivered are successors that were perhaps stored, but that nobody has: the connection broke at the commit, and the client was
// told to try again. Its token must not count as used then. So these successors are taken back: at once for this process, which
// knows of them, and for others as soon as the database answers again (settle).
type undelivered struct {
	mu   sync.Mutex
	lost map[string]lost // by family
}

// lost are successors of one token.
type lost struct {
	previous   refresh.Issued
	successors []refresh.Hash
}

// add remembers that the outcome of a rotation is not known.
func (u *undelivered) add(before, after refresh.Family) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l, found := u.lost[before.ID]
	if !found && len(u.lost) >= undeliveredLimit || len(l.successors) >= undeliveredLimit {
		return
	}
	if l.previous != before.Newest { // an earlier one was used after all
		l = lost{previous: before.Newest}
	}
	l.successors = append(slices.Clone(l.successors), after.Newest.Hash)
	u.lost[before.ID] = l
}

// undo is the family without a successor that nobody has.
func (u *undelivered) undo(f refresh.Family) refresh.Family {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.lost[f.ID]; slices.Contains(l.successors, f.Newest.Hash) {
		f.Newest = l.previous
	}
	return f
}

func (u *undelivered) all() map[string]lost {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.lost)
}

// settled forgets what was taken back, unless more was lost meanwhile.
func (u *undelivered) settled(family string, l lost) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.Equal(u.lost[family].successors, l.successors) {
		delete(u.lost, family)
	}
}

// settle takes back, in the database, the successors that nobody has.
func (s *Store) settle(ctx context.Context) error {
	for family, l := range s.undelivered.all() {
		for _, successor := range l.successors {
			err := s.ask(ctx, func(ctx context.Context, q querier) error {
				_, err := s.exec(ctx, q, `
					UPDATE keyturn_refresh_families SET token_hash = $3, token_issued_at = $4, token_expires_at = $5
					WHERE id = $1 AND token_hash = $2`,
					family, successor.String(), l.previous.Hash.String(), l.previous.IssuedAt.Unix(), l.previous.ExpiresAt.Unix())
				return err
			})
			if err != nil {
				return err
			}
		}
		s.undelivered.settled(family, l)
	}
	return nil
}
