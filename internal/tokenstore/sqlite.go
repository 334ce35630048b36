package tokenstore

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlitecodes "modernc.org/sqlite/lib"
)

// sqliteStore keeps the store in a file. One connection has it for itself alone, as long as the process lives, so that two replicas
// never take each other's database for theirs; operations go one after the other.
func sqliteStore(path string) (*Store, error) {
	parameters := url.Values{
		"_txlock":       {"immediate"},
		"_busy_timeout": {"1000"},                                          // how long one that is ending may take to let go of the file
		"_pragma":       {"locking_mode(EXCLUSIVE)", "temp_store(MEMORY)"}, // there may be no folder for temporary files
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // a commit is on the disk when it is acknowledged
		"_defensive":    {"1"},
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return newStore(db, dialect{
		statement:  func(statement string) string { return strings.ReplaceAll(statement, "$", "?") },
		hasVersion: `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'keyturn_token_store_version')`,
		beforeUse:  func() error { return ownFile(path) },
		explain:    func(err error) error { return explainSQLite(path, err) },
	}, db.Close), nil
}

// ownFile creates the file, or makes one that is there ours alone. SQLite gives its other files the same mode.
func ownFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // G304: the operator's owner says which file
	if err != nil {
		return err // it names the file
	}
	if err := errors.Join(file.Chmod(0o600), file.Close()); err != nil {
		return fmt.Errorf("keep others from reading the token store: %w", err)
	}
	return nil
}

func explainSQLite(path string, err error) error {
	var problem *sqlite.Error
	if !errors.As(err, &problem) {
		return err
	}
	switch problem.Code() & 0xff {
	case sqlitecodes.SQLITE_BUSY:
		return fmt.Errorf("%s is open in another process: SQLite is for one replica, use PostgreSQL for more: %w", path, err)
	case sqlitecodes.SQLITE_FULL:
		return fmt.Errorf("the volume of %s is full: %w", path, err)
	case sqlitecodes.SQLITE_NOTADB, sqlitecodes.SQLITE_CORRUPT:
		return fmt.Errorf("%s is damaged, or no SQLite database; restore a backup, or remove it, which ends all refresh tokens: %w", path, err)
	default:
		return fmt.Errorf("%s: %w", path, err)
	}
}
