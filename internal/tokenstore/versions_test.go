package tokenstore_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

func newerVersionsAreRefused(t *testing.T, d *database) {
	store := d.open(t)
	token := create(t, store, grant(), start())
	if err := store.Exec(t.Context(), "UPDATE keyturn_token_store_version SET version = $1", tokenstore.Latest+1); err != nil {
		t.Fatal(err)
	}
	err := store.Check(t.Context())
	if !errors.Is(err, tokenstore.ErrNewer) || !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Fatalf("a store that is open says %v, want ErrNewer", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, d.url)
	for range 2 {
		_, err := again.Lookup(t.Context(), token, start())
		if !errors.Is(err, tokenstore.ErrNewer) || !errors.Is(err, tokenstore.ErrUnavailable) {
			t.Fatalf("got %v, want ErrNewer", err)
		}
	}
	if want := fmt.Sprintf("its version is %d, this one knows %d", tokenstore.Latest+1, tokenstore.Latest); !strings.Contains(again.Check(t.Context()).Error(), want) {
		t.Errorf("got %v, want it to say: %s", again.Check(t.Context()), want)
	}
}

// olderVersionsAreMigrated needs testdata/versionN.sql for each version N: a family whose newest token is the one below, written as
// programs of that version did.
func olderVersionsAreMigrated(t *testing.T, d *database) {
	token, err := refresh.Parse("ktr_" + strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	for version := range tokenstore.Latest + 1 {
		d := d
		if version > 0 {
			content, err := os.ReadFile(fmt.Sprintf("testdata/version%d.sql", version))
			if err != nil {
				t.Fatal(err)
			}
			old := d.open(t)
			// Back to nothing, and from there to the version.
			for _, table := range []string{"keyturn_refresh_families", "keyturn_used_assertions", "keyturn_token_store_version"} {
				if err := old.Exec(t.Context(), "DROP TABLE IF EXISTS "+table); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(old.MigrateTo(t.Context(), version), old.Exec(t.Context(), string(content)), old.Close()); err != nil {
				t.Fatal(err)
			}
			d = &database{url: d.url, shared: d.shared}
		}
		stores := []*tokenstore.Store{d.open(t), d.open(t), d.open(t), d.open(t)}
		var group sync.WaitGroup
		for _, store := range stores {
			group.Go(func() {
				if err := store.Check(t.Context()); err != nil {
					t.Errorf("from version %d: %v", version, err)
				}
			})
		}
		group.Wait()
		if version > 0 {
			family := lookup(t, stores[0], token, time.Unix(1_900_000_000, 0), refresh.Usable)
			if family.ClientID != "shop.batch" {
				t.Errorf("from version %d: the family is of %q", version, family.ClientID)
			}
			use(t, stores[0], token, time.Unix(1_900_000_000, 0), refresh.Usable)
		}
	}
}
