package tokenstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// operationLimit is how long one operation may last. A database that does not answer must not keep requests waiting.
const operationLimit = 5 * time.Second

// errOutcome says that nobody knows whether a transaction was committed: the connection may have broken after the database did.
var errOutcome = errors.New("commit, which may have succeeded all the same")

// dialect is what differs between the two databases.
type dialect struct {
	// statement writes a statement, whose parameters are $1, $2 and so on, as the database reads it.
	statement func(string) string
	// isolation is that of transactions.
	isolation sql.IsolationLevel
	// lockRow keeps a row that is read as it is until the transaction ends; lockFree does, and leaves out those that others keep.
	lockRow, lockFree string
	// hasVersion is a query for whether there is a table with the version.
	hasVersion string
	// lockSchema lets one transaction after the other migrate.
	lockSchema string
	// beforeUse is called before the database is first used, and again until it has worked; it may be nil.
	beforeUse func() error
	// explain adds what to do to errors that users meet; it may be nil.
	explain func(error) error
}

// Store keeps refresh tokens and used assertions in a database. It is safe for concurrent use.
type Store struct {
	db      *sql.DB
	dialect dialect
	close   func() error
	// batch is how many rows one statement changes at most, so that none keeps others waiting for long.
	batch int
	// commit is (*sql.Tx).Commit; tests break it.
	commit func(*sql.Tx) error

	// preparing has a value in it while somebody migrates the database; prepared is guarded by it.
	preparing chan struct{}
	prepared  bool

	undelivered undelivered
}

var (
	_ Families   = (*Store)(nil)
	_ Assertions = (*Store)(nil)
)

func newStore(db *sql.DB, d dialect, closeDB func() error) *Store {
	return &Store{
		db: db, dialect: d, close: closeDB, batch: 500, commit: (*sql.Tx).Commit,
		preparing:   make(chan struct{}, 1),
		undelivered: undelivered{lost: map[string]lost{}},
	}
}

// Close closes the database, once its operations have ended.
func (s *Store) Close() error { return s.close() }

// querier is a transaction, or the database without one.
type querier interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row
}

// ask runs one operation without a transaction. An error of f is one of the database.
func (s *Store) ask(ctx context.Context, f func(context.Context, querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, operationLimit)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return s.unavailable(err)
	}
	return s.unavailable(f(ctx, s.db))
}

// transact runs one operation in a transaction, which is rolled back if f fails. An error that is errOutcome leaves open whether it
// was committed.
func (s *Store) transact(ctx context.Context, f func(context.Context, querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, operationLimit)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return s.unavailable(err)
	}
	return s.unavailable(s.transaction(ctx, f))
}

func (s *Store) transaction(ctx context.Context, f func(context.Context, querier) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.isolation})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := f(ctx, tx); err != nil {
		// Where this fails the connection is broken, and the database rolls back by itself.
		_ = tx.Rollback()
		return err
	}
	if err := s.commit(tx); err != nil {
		return fmt.Errorf("%w: %w", errOutcome, err)
	}
	return nil
}

func (s *Store) exec(ctx context.Context, q querier, statement string, args ...any) (int, error) {
	result, err := q.ExecContext(ctx, s.dialect.statement(statement), args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// unavailable makes any error one of the store's, unless it is about what a row says.
func (s *Store) unavailable(err error) error {
	var unreadable *rowError
	if err == nil || errors.As(err, &unreadable) {
		return err
	}
	if s.dialect.explain != nil {
		err = s.dialect.explain(err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// rowError says that a row holds what this program does not write.
type rowError struct {
	id    string
	cause error
}

func (e *rowError) Error() string { return fmt.Sprintf("row of refresh family %s: %v", e.id, e.cause) }

func (e *rowError) Unwrap() error { return e.cause }
