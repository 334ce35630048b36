package tokenstore

import (
	"context"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// RevokeAll is of [Families].
func (s *Store) RevokeAll(ctx context.Context, selection Selection, reason refresh.Reason, now time.Time) (revoked int, err error) {
	defer measure("RevokeAll", func() string { return outcome("Done", err) })()
	revoked, err = s.inBatches(ctx, `
		UPDATE keyturn_refresh_families SET revoked_at = $2, revocation_reason = $3
		WHERE id IN (
			SELECT id FROM keyturn_refresh_families
			WHERE issuer_uid = $4 AND created_at < $5 AND revoked_at = 0 AND ($6 = '' OR client_id = $6) AND ($7 = '' OR subject = $7)
			ORDER BY id LIMIT $1`+s.dialect.lockRow+`)`,
		now.Unix(), string(reason), selection.IssuerUID, selection.CreatedBefore.Unix(), column(selection.ClientID), column(selection.Subject))
	if err != nil {
		return revoked, fmt.Errorf("revoke refresh tokens: %w", err)
	}
	return revoked, nil
}

// Sweep removes families of which no token can be used any more, and assertions that are refused anyway. It returns how many rows it
// has removed, also beside an error.
func (s *Store) Sweep(ctx context.Context, now time.Time) (swept int, err error) {
	defer measure("Sweep", func() string { return outcome("Done", err) })()
	if err := s.settle(ctx); err != nil {
		return 0, fmt.Errorf("take back refresh tokens that nobody has: %w", err)
	}
	families, err := s.inBatches(ctx, `
		DELETE FROM keyturn_refresh_families WHERE id IN (
			SELECT id FROM keyturn_refresh_families WHERE token_expires_at <= $2 LIMIT $1`+s.dialect.lockFree+`)`, now.Unix())
	rowsSwept.WithLabelValues("RefreshFamily").Add(float64(families))
	if err != nil {
		return families, fmt.Errorf("sweep refresh tokens: %w", err)
	}
	assertions, err := s.inBatches(ctx, `
		DELETE FROM keyturn_used_assertions WHERE hash IN (
			SELECT hash FROM keyturn_used_assertions WHERE expires_at <= $2 LIMIT $1`+s.dialect.lockFree+`)`, now.Unix())
	rowsSwept.WithLabelValues("Assertion").Add(float64(assertions))
	if err != nil {
		return families + assertions, fmt.Errorf("sweep client assertions: %w", err)
	}
	return families + assertions, nil
}

// inBatches repeats a statement, each time on its own, until it finds fewer rows than its $1, and returns how many it has changed.
func (s *Store) inBatches(ctx context.Context, statement string, args ...any) (int, error) {
	for changed := 0; ; {
		n := 0
		err := s.ask(ctx, func(ctx context.Context, q querier) (err error) {
			n, err = s.exec(ctx, q, statement, append([]any{s.batch}, args...)...)
			return err
		})
		changed += n
		if err != nil || n < s.batch {
			return changed, err
		}
	}
}
