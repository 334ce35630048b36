package tokenstore

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// connectLimit is how long connecting may take. It leaves time for another host of the URL, and to look the name up.
const connectLimit = 3 * time.Second

// openPostgres keeps the store in PostgreSQL. Broken connections are found before they are used, and replaced.
func openPostgres(ctx context.Context, address, rest string) (*Store, error) {
	config, err := postgresConfig(address, rest)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, errURL("it cannot be used")
	}
	db := stdlib.OpenDBFromPool(pool)
	return newStore(db, dialect{
		statement: func(statement string) string { return statement },
		isolation: sql.LevelReadCommitted,
		lockRow:   " FOR UPDATE",
		lockFree:  " FOR UPDATE SKIP LOCKED",
		// Not to_regclass: it can answer from before the lock, what it remembers is not looked through while an advisory lock is awaited.
		hasVersion: `SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'keyturn_token_store_version' AND pg_table_is_visible(oid))`,
		lockSchema: `SELECT pg_advisory_xact_lock(7235419804236)`, // any number that others will not think of
	}, func() error {
		err := db.Close()
		pool.Close()
		return err
	}), nil
}

// errURL is all that is said about the URL: whatever is wrong with one, its parts are not where they seem to be, so that any of them
// may hold a piece of the password.
func errURL(problem string) error {
	return errors.New("the URL of the token store, not shown because it may hold a password: " + problem)
}

func postgresConfig(address, rest string) (*pgxpool.Config, error) {
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if strings.Contains(rest[end:], "@") || strings.Contains(rest, "#") || strings.Count(rest, "@") > 1 {
		return nil, errURL("write the characters @ / ? # : % of user and password as %40 %2F %3F %23 %3A %25")
	}
	if !strings.Contains(rest[end:], "sslmode=") && os.Getenv("PGSSLMODE") == "" {
		separator := "?"
		if strings.Contains(rest, "?") {
			separator = "&"
		}
		address += separator + "sslmode=verify-full"
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errURL("want postgres://user:password@host:port/database?parameter=value, as libpq reads it")
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > connectLimit {
		config.ConnConfig.ConnectTimeout = connectLimit
	}
	// A standby cannot store anything: another host of the URL may, or this one later.
	if config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	// A connection that broke while it lay idle must not fail an operation.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	// After a failover by name, connections to the former primary end soon.
	config.MaxConnLifetime = 5 * time.Minute
	for name, value := range map[string]string{
		"application_name":  "keyturn",
		"statement_timeout": "4000",
		// A replica that froze amid a transaction keeps nobody from the row.
		"idle_in_transaction_session_timeout": "4000",
	} {
		if config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}
