package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Ready is a healthz.Checker. It returns nil while the database answers and is of a version that this program knows.
func (s *Store) Ready(r *http.Request) error { return s.Check(r.Context()) }

// Check says whether the store can be used now.
func (s *Store) Check(ctx context.Context) (err error) {
	defer measure("Check", func() string { return outcome("Done", err) })()
	err = s.ask(ctx, func(ctx context.Context, q querier) error {
		version, err := s.version(ctx, q)
		if err != nil {
			return err
		}
		if version == 0 {
			return errors.New("its tables are gone; restore them and start Keyturn again")
		}
		return s.known(version)
	})
	if err == nil {
		err = s.settle(ctx)
	}
	if err != nil {
		return fmt.Errorf("check the token store: %w", err)
	}
	return nil
}
