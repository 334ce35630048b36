package tokenstore

import (
	"context"
	"database/sql"
	"errors"
)

// Latest is the version of the database.
const Latest = latest

// SetBatch says how many rows one statement changes at most.
func (s *Store) SetBatch(rows int) { s.batch = rows }

// Exec changes the database behind the store's back. Parameters are $1, $2 and so on.
func (s *Store) Exec(ctx context.Context, statement string, args ...any) error {
	_, err := s.exec(ctx, s.db, statement, args...)
	return err
}

// Query reads the database.
func (s *Store) Query(ctx context.Context, query string) (*sql.Rows, error) {
	return s.db.QueryContext(ctx, query)
}

// MigrateTo makes a database of an older version, instead of what is done before the first operation.
func (s *Store) MigrateTo(ctx context.Context, version int) error {
	if s.dialect.beforeUse != nil {
		if err := s.dialect.beforeUse(); err != nil {
			return err
		}
	}
	return s.migrate(ctx, version)
}

// LoseConnection breaks the connection at each commit from now on: before or after the database has done it.
func (s *Store) LoseConnection(afterCommit bool) {
	s.commit = func(tx *sql.Tx) error {
		if afterCommit {
			return errors.Join(tx.Commit(), errors.New("the connection broke"))
		}
		return errors.Join(tx.Rollback(), errors.New("the connection broke"))
	}
}

// KeepConnection ends that.
func (s *Store) KeepConnection() { s.commit = (*sql.Tx).Commit }
