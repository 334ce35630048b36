package tokenservice_test

import (
	"context"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

func (s *switched) Create(ctx context.Context, g refresh.Grant, l refresh.Lifetimes, now time.Time) (tokenstore.Rotation, error) {
	if s.away {
		return tokenstore.Rotation{}, fmt.Errorf("%w: %w", tokenstore.ErrUnavailable, errAway)
	}
	return s.Families.Create(ctx, g, l, now)
}

func (s *switched) Lookup(ctx context.Context, t refresh.Token, now time.Time) (tokenstore.Rotation, error) {
	if s.away {
		return tokenstore.Rotation{}, fmt.Errorf("%w: %w", tokenstore.ErrUnavailable, errAway)
	}
	return s.Families.Lookup(ctx, t, now)
}
