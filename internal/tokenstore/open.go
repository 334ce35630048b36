package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Open makes the store of a URL:
//
//	sqlite:///path/to/file.db
//	postgres://user:password@host:5432/database?sslmode=verify-full
//
// An error is about the URL, and never shows a password. Nothing is opened yet: what is wrong with the database itself comes from
// [Store.Check] and every operation, until it is mended.
//
// The file of SQLite is created where there is none, in a folder that must exist, and only one process can have it open. Its volume
// needs the locks of a local file system.
//
// The parameters of PostgreSQL are those of libpq, and pool_max_conns, the most connections of this process. Without sslmode it is
// verify-full, which is not the default of libpq; statement_timeout is 4 seconds, connect_timeout 3.
func Open(ctx context.Context, address string) (*Store, error) {
	address = strings.TrimSpace(address) // files end with a line break
	scheme, rest, _ := strings.Cut(address, "://")
	switch scheme {
	case "sqlite":
		return openSQLite(rest)
	case "postgres", "postgresql":
		return openPostgres(ctx, address, rest)
	default:
		return nil, errors.New("the URL of the token store must begin with sqlite:/// or postgres://")
	}
}

func openSQLite(rest string) (*Store, error) {
	path, err := url.PathUnescape(rest)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.ContainsAny(rest, "?#") {
		return nil, fmt.Errorf("the URL sqlite://%s of the token store: want sqlite:/// and the absolute path of a file, nothing behind it", rest)
	}
	return sqliteStore(path)
}
