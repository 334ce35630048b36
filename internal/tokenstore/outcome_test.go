package tokenstore_test

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// unavailable uses a token of a store that is not available.
func unavailable(t *testing.T, store *tokenstore.Store, token refresh.Token) {
	t.Helper()
	r, err := store.Use(t.Context(), token, idle, start())
	if !errors.Is(err, tokenstore.ErrUnavailable) || !r.Token.IsZero() || r.State != "" {
		t.Fatalf("got %+v and error %v, want nothing and ErrUnavailable", r, err)
	}
}

func rotationsNotDoneCostNothing(t *testing.T, d *database) {
	one, other := d.open(t), d.open(t)
	token := create(t, one, grant(), start())
	one.LoseConnection(false)
	unavailable(t, one, token)
	unavailable(t, one, token)
	one.KeepConnection()
	use(t, other, token, start(), refresh.Usable)
}

func rotationsThatNobodyHeardOfAreTakenBack(t *testing.T, d *database) {
	one, other := d.open(t), d.open(t)
	broken := func(token refresh.Token) {
		t.Helper()
		// The first attempt was done, the others are after it was taken back.
		for _, afterCommit := range []bool{true, true, false} {
			one.LoseConnection(afterCommit)
			unavailable(t, one, token)
		}
		one.KeepConnection()
	}

	// The replica that knows of it takes it back itself.
	token := create(t, one, grant(), start())
	broken(token)
	lookup(t, one, token, start(), refresh.Usable)
	successor := use(t, one, token, start(), refresh.Usable)
	lookup(t, other, successor, start(), refresh.Usable)
	use(t, one, token, start(), refresh.Reused)

	// For others it is taken back as soon as the database answers again.
	token = create(t, one, grant(), start())
	broken(token)
	if err := one.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	successor = use(t, other, token, start(), refresh.Usable)
	use(t, other, successor, start(), refresh.Usable)

	// A family that was revoked meanwhile stays so.
	token = create(t, one, grant(), start())
	broken(token)
	if _, err := other.Revoke(t.Context(), token, refresh.ReasonClient, start()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Sweep(t.Context(), start()); err != nil {
		t.Fatal(err)
	}
	use(t, one, token, start(), refresh.Revoked)
}
