package tokenstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
)

// latest is the version of the database that this program reads and writes: that of the last file in migrations. One that is
// released is never changed. Replicas of the version before go on while a new one migrates, so each must leave them working.
const latest = 1

// ErrNewer says that a newer Keyturn has migrated the database. It comes with [ErrUnavailable].
var ErrNewer = errors.New("the database was migrated by a newer Keyturn")

//go:embed migrations/*.sql
var migrations embed.FS

// prepare migrates the database, once.
func (s *Store) prepare(ctx context.Context) error {
	select {
	case s.preparing <- struct{}{}:
		defer func() { <-s.preparing }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the database to be migrated: %w", context.Cause(ctx))
	}
	if s.prepared {
		return nil
	}
	if s.dialect.beforeUse != nil {
		if err := s.dialect.beforeUse(); err != nil {
			return err
		}
	}
	if err := s.migrate(ctx, latest); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	s.prepared = true
	return nil
}

// migrate takes the database to a version, one transaction for each. Nothing is locked or written if it is there already.
func (s *Store) migrate(ctx context.Context, target int) error {
	version, err := s.version(ctx, s.db)
	for err == nil && version < target {
		version, err = s.advance(ctx, target)
	}
	if err != nil {
		return err
	}
	return s.known(version)
}

func (s *Store) known(version int) error {
	if version > latest {
		return fmt.Errorf("%w: its version is %d, this one knows %d; run the newer one, or restore a backup of before", ErrNewer, version, latest)
	}
	return nil
}

// advance goes one version on, unless another replica has been faster, and returns where it has come.
func (s *Store) advance(ctx context.Context, target int) (version int, err error) {
	err = s.transaction(ctx, func(ctx context.Context, q querier) error {
		if s.dialect.lockSchema != "" {
			if _, err := q.ExecContext(ctx, s.dialect.lockSchema); err != nil {
				return err
			}
		}
		if version, err = s.version(ctx, q); err != nil || version >= target {
			return err
		}
		version++
		return s.apply(ctx, q, version)
	})
	return version, err
}

func (s *Store) apply(ctx context.Context, q querier, version int) error {
	statements, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", version))
	if err != nil {
		return err
	}
	if _, err := q.ExecContext(ctx, string(statements)); err != nil {
		return fmt.Errorf("to version %d: %w", version, err)
	}
	if version == 1 {
		_, err = s.exec(ctx, q, `INSERT INTO keyturn_token_store_version (version) VALUES ($1)`, version)
	} else {
		_, err = s.exec(ctx, q, `UPDATE keyturn_token_store_version SET version = $1`, version)
	}
	return err
}

// version is that of the database; 0 if nothing is in it.
func (s *Store) version(ctx context.Context, q querier) (version int, err error) {
	var found bool
	if err := q.QueryRowContext(ctx, s.dialect.hasVersion).Scan(&found); err != nil {
		return 0, err
	}
	if !found {
		return 0, nil
	}
	err = q.QueryRowContext(ctx, `SELECT version FROM keyturn_token_store_version`).Scan(&version)
	return version, err
}
