package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Shared is a source whose keys several verifiers use: they are fetched once for all of them, and what one finds out, such as that
// the server is away, the others know. It is safe for concurrent use.
type Shared struct {
	issuer string
	keys   source[keySet]
}

// Share makes a Shared of another source, for the verifiers of one issuer. The clock is as in [Options]. The error says what is
// wrong with the source.
func Share(issuer string, from KeySource, clock func() time.Time) (*Shared, error) {
	keys, err := from.open(issuer, clockOr(clock))
	if err != nil {
		return nil, fmt.Errorf("share keys: %w", err)
	}
	return &Shared{issuer: issuer, keys: keys}, nil
}

// Ready returns [ErrKeysUnavailable] while the keys are not at hand, and fetches them if need be.
func (s *Shared) Ready(ctx context.Context) error {
	_, err := s.keys.current(ctx)
	return err
}

func (s *Shared) open(issuer string, _ func() time.Time) (source[keySet], error) {
	if issuer != s.issuer {
		return nil, errors.New("the keys are shared by verifiers of another issuer")
	}
	return s.keys, nil
}
