package tokenstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// Create is of [Families].
func (s *Store) Create(ctx context.Context, grant refresh.Grant, lifetimes refresh.Lifetimes, now time.Time) (r Rotation, err error) {
	defer measure("Create", func() string { return outcome(r.State, err) })()
	family, token := refresh.Start(grant, lifetimes, now)
	err = s.ask(ctx, func(ctx context.Context, q querier) error { return s.insert(ctx, q, family) })
	if err != nil {
		return Rotation{}, fmt.Errorf("store the first refresh token: %w", err)
	}
	return Rotation{State: refresh.Usable, Family: family, Token: token}, nil
}

// Lookup is of [Families].
func (s *Store) Lookup(ctx context.Context, token refresh.Token, now time.Time) (r Rotation, err error) {
	defer measure("Lookup", func() string { return outcome(r.State, err) })()
	err = s.ask(ctx, func(ctx context.Context, q querier) (err error) {
		r.Family, err = s.find(ctx, q, token.FamilyID(), "")
		return err
	})
	if err != nil {
		return Rotation{}, fmt.Errorf("look up a refresh token: %w", err)
	}
	r.State = r.Family.Judge(token, now)
	return r, nil
}

// Use is of [Families].
func (s *Store) Use(ctx context.Context, token refresh.Token, idle time.Duration, now time.Time) (r Rotation, err error) {
	defer measure("Use", func() string { return outcome(r.State, err) })()
	before, r, err := s.change(ctx, token, func(f refresh.Family) Rotation {
		r := Rotation{State: f.Judge(token, now), Family: f}
		switch r.State {
		case refresh.Usable:
			r.Family, r.Token = f.Rotate(token, idle, now)
		case refresh.Reused:
			r.Family = f.Revoke(refresh.ReasonReused, now)
		default:
		}
		return r
	})
	if errors.Is(err, errOutcome) && r.State == refresh.Usable {
		s.undelivered.add(before, r.Family)
	}
	if err != nil {
		return Rotation{}, fmt.Errorf("use a refresh token: %w", err)
	}
	return r, nil
}

// Revoke is of [Families].
func (s *Store) Revoke(ctx context.Context, token refresh.Token, reason refresh.Reason, now time.Time) (r Rotation, err error) {
	defer measure("Revoke", func() string { return outcome(r.State, err) })()
	_, r, err = s.change(ctx, token, func(f refresh.Family) Rotation {
		return Rotation{State: f.Judge(token, now), Family: f.Revoke(reason, now)}
	})
	if err != nil {
		return Rotation{}, fmt.Errorf("revoke a refresh token: %w", err)
	}
	return r, nil
}

// change does what is decided about the family of a token, which nobody else changes meanwhile. It returns the family as it was and
// what was decided, this also when it is not known whether it was done.
func (s *Store) change(ctx context.Context, token refresh.Token, decide func(refresh.Family) Rotation) (before refresh.Family, r Rotation, err error) {
	err = s.transact(ctx, func(ctx context.Context, q querier) (err error) {
		if before, err = s.find(ctx, q, token.FamilyID(), s.dialect.lockRow); err != nil {
			return err
		}
		if before.ID == "" {
			r = Rotation{State: refresh.Unknown}
			return nil
		}
		if r = decide(before); r.Family.Newest == before.Newest && r.Family.RevokedAt.Equal(before.RevokedAt) {
			return nil
		}
		return s.update(ctx, q, r.Family)
	})
	return before, r, err
}

func (s *Store) insert(ctx context.Context, q querier, f refresh.Family) error {
	granted, err := json.Marshal(f.Grant)
	if err != nil {
		return &rowError{f.ID, err}
	}
	_, err = s.exec(ctx, q, `
		INSERT INTO keyturn_refresh_families (
			id, issuer_uid, client_id, subject, granted, created_at, expires_at,
			token_hash, token_issued_at, token_expires_at, revoked_at, revocation_reason
		) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '')`,
		f.ID, f.Issuer.UID, column(f.ClientID), column(f.Subject), string(granted), f.CreatedAt.Unix(), f.ExpiresAt.Unix(),
		f.Newest.Hash.String(), f.Newest.IssuedAt.Unix(), f.Newest.ExpiresAt.Unix())
	return err
}

// update stores what changes in the life of a family, whose row the transaction keeps.
func (s *Store) update(ctx context.Context, q querier, f refresh.Family) error {
	_, err := s.exec(ctx, q, `
		UPDATE keyturn_refresh_families
		SET token_hash = $2, token_issued_at = $3, token_expires_at = $4, revoked_at = $5, revocation_reason = $6
		WHERE id = $1`,
		f.ID, f.Newest.Hash.String(), f.Newest.IssuedAt.Unix(), f.Newest.ExpiresAt.Unix(), unix(f.RevokedAt), string(f.Reason))
	return err
}

// find reads a family as its owner knows it; the zero value if there is none of that ID.
func (s *Store) find(ctx context.Context, q querier, id, lock string) (refresh.Family, error) {
	f := refresh.Family{ID: id}
	var granted, hash string
	var createdAt, expiresAt, issuedAt, idleAt, revokedAt int64
	err := q.QueryRowContext(ctx, s.dialect.statement(`
		SELECT granted, created_at, expires_at, token_hash, token_issued_at, token_expires_at, revoked_at, revocation_reason
		FROM keyturn_refresh_families WHERE id = $1`+lock), id).
		Scan(&granted, &createdAt, &expiresAt, &hash, &issuedAt, &idleAt, &revokedAt, &f.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		return refresh.Family{}, nil
	}
	if err != nil {
		return refresh.Family{}, err
	}
	if err := json.Unmarshal([]byte(granted), &f.Grant); err != nil {
		return refresh.Family{}, &rowError{id, err}
	}
	if n, err := hex.Decode(f.Newest.Hash[:], []byte(hash)); err != nil || n != len(f.Newest.Hash) {
		return refresh.Family{}, &rowError{id, errors.New("token_hash is not a SHA-256 in hexadecimal digits")}
	}
	f.CreatedAt, f.ExpiresAt, f.RevokedAt = instant(createdAt), instant(expiresAt), instant(revokedAt)
	f.Newest.IssuedAt, f.Newest.ExpiresAt = instant(issuedAt), instant(idleAt)
	return s.undelivered.undo(f), nil
}

// column is a text as it is compared: PostgreSQL stores no NUL.
func column(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}

// unix is 0 for the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
