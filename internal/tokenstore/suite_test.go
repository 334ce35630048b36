package tokenstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// database is one database that stores are opened on.
type database struct {
	url string
	// shared says that several processes can have it open. Otherwise what would be another replica is the same one.
	shared bool
	first  *tokenstore.Store
}

// suite is what each database must pass. Each gets an empty one.
func suite() map[string]func(*testing.T, *database) {
	return map[string]func(*testing.T, *database){
		"a token is used once, and its successor after it":                     tokensFollowEachOther,
		"a second use revokes the family with its newest token":                aSecondUseRevokes,
		"of many uses of one token at the same instant one wins":               oneOfManyWins,
		"a token that was not used in time cannot be used":                     tokensExpire,
		"a client can revoke by any of its tokens":                             clientsRevoke,
		"what a TokenRevocation concerns is revoked, and nothing else":         revocationsSelect,
		"what has expired is swept, in batches, and nothing else":              sweepingIsExact,
		"an assertion is new once":                                             assertionsAreNewOnce,
		"what was granted comes back whole":                                    grantsComeBack,
		"who reads the database finds no token and no assertion":               noTokenIsStored,
		"a database of a newer version is refused":                             newerVersionsAreRefused,
		"a database of each older version is migrated, by several at once":     olderVersionsAreMigrated,
		"a rotation that was not done when the connection broke costs nothing": rotationsNotDoneCostNothing,
		"a rotation that was done when the connection broke is taken back":     rotationsThatNobodyHeardOfAreTakenBack,
		"a caller that goes away leaves nothing behind":                        callersGoAway,
		"a row that this program did not write is an error of its own":         foreignRowsAreErrors,
	}
}

func run(t *testing.T, empty func(*testing.T) *database) {
	for name, test := range suite() {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

// open returns a store of a replica.
func (d *database) open(t *testing.T) *tokenstore.Store {
	t.Helper()
	if !d.shared && d.first != nil {
		return d.first
	}
	d.first = open(t, d.url)
	return d.first
}

func open(t *testing.T, url string) *tokenstore.Store {
	t.Helper()
	store, err := tokenstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

const (
	idle     = time.Hour
	absolute = 24 * time.Hour
)

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func grant() refresh.Grant {
	return refresh.Grant{
		Issuer:   refresh.Object{Namespace: "shop", Name: "orders", UID: "uid-of-orders"},
		Client:   refresh.Object{Namespace: "shop", Name: "batch", UID: "uid-of-batch"},
		ClientID: "shop.batch", Subject: "system:serviceaccount:shop:batch", Audiences: []string{"https://orders.example"},
	}
}

func create(t *testing.T, store *tokenstore.Store, g refresh.Grant, now time.Time) refresh.Token {
	t.Helper()
	r, err := store.Create(t.Context(), g, refresh.Lifetimes{Idle: idle, Absolute: absolute}, now)
	if err != nil {
		t.Fatal(err)
	}
	return r.Token
}

// use uses a token and returns its successor, if the state is as wanted.
func use(t *testing.T, store *tokenstore.Store, token refresh.Token, now time.Time, want refresh.State) refresh.Token {
	t.Helper()
	r, err := store.Use(t.Context(), token, idle, now)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != want || r.Token.IsZero() == (want == refresh.Usable) {
		t.Fatalf("the use of a token was %s with %v, want %s", r.State, r.Token, want)
	}
	return r.Token
}

func lookup(t *testing.T, store *tokenstore.Store, token refresh.Token, now time.Time, want refresh.State) refresh.Family {
	t.Helper()
	r, err := store.Lookup(t.Context(), token, now)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != want {
		t.Fatalf("a token is %s, want %s", r.State, want)
	}
	return r.Family
}

func tokensFollowEachOther(t *testing.T, d *database) {
	stores := []*tokenstore.Store{d.open(t), d.open(t)}
	now, token := start(), create(t, stores[0], grant(), start())
	for i := range 10 {
		lookup(t, stores[i%2], token, now, refresh.Usable)
		lookup(t, stores[i%2], token, now, refresh.Usable)
		token = use(t, stores[i%2], token, now, refresh.Usable)
		now = now.Add(idle / 2)
	}
	lookup(t, stores[0], refresh.Token{}, now, refresh.Unknown)
	use(t, stores[0], refresh.Token{}, now, refresh.Unknown)
	_, stranger := refresh.Start(grant(), refresh.Lifetimes{Idle: idle, Absolute: absolute}, now)
	lookup(t, stores[0], stranger, now, refresh.Unknown)
	use(t, stores[0], stranger, now, refresh.Unknown)
	lookup(t, stores[0], token, now, refresh.Usable)
}

func aSecondUseRevokes(t *testing.T, d *database) {
	one, other := d.open(t), d.open(t)
	first := create(t, one, grant(), start())
	bystander := create(t, one, grant(), start())
	second := use(t, one, first, start(), refresh.Usable)
	third := use(t, other, second, start(), refresh.Usable)
	lookup(t, other, first, start(), refresh.Reused)
	lookup(t, other, third, start(), refresh.Usable) // looking revokes nothing

	// By now the first would have expired, had it not been used.
	late := start().Add(idle).Add(-time.Second)
	r, err := other.Use(t.Context(), first, idle, late)
	if err != nil || r.State != refresh.Reused || r.Family.Reason != refresh.ReasonReused || r.Family.ClientID != "shop.batch" {
		t.Fatalf("got %+v and error %v, want the family, revoked because a token was reused", r, err)
	}
	for _, token := range []refresh.Token{first, second, third} {
		use(t, one, token, late, refresh.Revoked)
	}
	family := lookup(t, one, third, late, refresh.Revoked)
	if family.Reason != refresh.ReasonReused || !family.RevokedAt.Equal(late) {
		t.Errorf("the family was revoked at %s as %s, want %s at %s", family.RevokedAt, family.Reason, refresh.ReasonReused, late)
	}
	use(t, other, bystander, late, refresh.Usable)
}

func oneOfManyWins(t *testing.T, d *database) {
	stores := []*tokenstore.Store{d.open(t), d.open(t)}
	const rounds, users = 5, 12
	for range rounds {
		token := create(t, stores[0], grant(), start())
		results := make([]tokenstore.Rotation, users)
		errs := make([]error, users)
		var group sync.WaitGroup
		begin := make(chan struct{})
		for i := range users {
			group.Go(func() {
				<-begin
				results[i], errs[i] = stores[i%2].Use(t.Context(), token, idle, start())
			})
		}
		close(begin)
		group.Wait()
		got := map[refresh.State]int{}
		for i, r := range results {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			got[r.State]++
			if r.State == refresh.Usable {
				lookup(t, stores[(i+1)%2], r.Token, start(), refresh.Revoked)
			}
		}
		want := map[refresh.State]int{refresh.Usable: 1, refresh.Reused: 1, refresh.Revoked: users - 2}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("uses by state (-want +got):\n%s", diff)
		}
	}
}

func tokensExpire(t *testing.T, d *database) {
	store := d.open(t)
	unused := create(t, store, grant(), start())
	lookup(t, store, unused, start().Add(idle-1), refresh.Usable)
	use(t, store, unused, start().Add(idle), refresh.Idle)

	now, token := start(), create(t, store, grant(), start())
	for now.Before(start().Add(absolute).Add(-idle / 2)) {
		now = now.Add(idle / 2)
		token = use(t, store, token, now, refresh.Usable)
	}
	family := lookup(t, store, token, now, refresh.Usable)
	if want := start().Add(absolute); !family.Newest.ExpiresAt.Equal(want) {
		t.Errorf("the last token ends at %s, want %s as its family does", family.Newest.ExpiresAt, want)
	}
	use(t, store, token, start().Add(absolute), refresh.Expired)
}

func clientsRevoke(t *testing.T, d *database) {
	one, other := d.open(t), d.open(t)
	for name, old := range map[string]bool{"the newest": false, "a used one": true} {
		token := create(t, one, grant(), start())
		newest := use(t, other, token, start(), refresh.Usable)
		if !old {
			token = newest
		}
		r, err := one.Revoke(t.Context(), token, refresh.ReasonClient, start())
		if err != nil || r.Family.Reason != refresh.ReasonClient {
			t.Fatalf("%s: got %+v and error %v, want the family, revoked", name, r, err)
		}
		use(t, other, newest, start(), refresh.Revoked)
		again, err := other.Revoke(t.Context(), newest, refresh.ReasonReused, start().Add(time.Minute))
		if err != nil || again.State != refresh.Revoked || again.Family.Reason != refresh.ReasonClient {
			t.Errorf("%s: the second revocation gave %+v and error %v, want the first to stand", name, again, err)
		}
	}
	_, stranger := refresh.Start(grant(), refresh.Lifetimes{Idle: idle, Absolute: absolute}, start())
	if r, err := one.Revoke(t.Context(), stranger, refresh.ReasonClient, start()); err != nil || r.State != refresh.Unknown || r.Family.ID != "" {
		t.Errorf("a token of no family: got %+v and error %v, want Unknown", r, err)
	}
}

func revocationsSelect(t *testing.T, d *database) {
	store := d.open(t)
	store.SetBatch(2)
	another := grant()
	another.Issuer.UID = "uid-of-another"
	client, subject := grant(), grant()
	client.ClientID, subject.Subject = "shop.web", "some\x00body"
	for name, c := range map[string]struct {
		selection tokenstore.Selection
		want      string
	}{
		"everything of an issuer before an instant": {tokenstore.Selection{}, "one two three four client subject"},
		"of a client":          {tokenstore.Selection{ClientID: client.ClientID}, "client"},
		"of a subject":         {tokenstore.Selection{Subject: subject.Subject}, "subject"},
		"of neither":           {tokenstore.Selection{Subject: subject.Subject, ClientID: client.ClientID}, ""},
		"of a client of no ID": {tokenstore.Selection{ClientID: "shop.nobody"}, ""},
	} {
		instant := start().Add(time.Hour)
		type one struct {
			name  string
			token refresh.Token
		}
		issuer := "issuer of " + name
		made := func(name string, g refresh.Grant, now time.Time) one {
			if g.Issuer.UID == grant().Issuer.UID {
				g.Issuer.UID = issuer
			}
			return one{name, create(t, store, g, now)}
		}
		early := instant.Add(-time.Second)
		all := []one{
			made("one", grant(), early), made("two", grant(), early), made("three", grant(), early), made("four", grant(), early),
			made("client", client, early), made("subject", subject, early),
			made("late", grant(), instant), made("another issuer", another, early),
		}
		c.selection.IssuerUID, c.selection.CreatedBefore = issuer, instant
		n, err := store.RevokeAll(t.Context(), c.selection, refresh.ReasonTokenRevocation, instant)
		if err != nil {
			t.Fatal(err)
		}
		var revoked []string
		for _, one := range all {
			r, err := store.Lookup(t.Context(), one.token, instant)
			if err != nil {
				t.Fatal(err)
			}
			if r.State == refresh.Revoked && r.Family.Reason == refresh.ReasonTokenRevocation {
				revoked = append(revoked, one.name)
			}
		}
		if diff := cmp.Diff(c.want, strings.Join(revoked, " ")); diff != "" || n != len(revoked) {
			t.Errorf("%s: %d are said to be revoked (-want +got):\n%s", name, n, diff)
		}
		if n, err := store.RevokeAll(t.Context(), c.selection, refresh.ReasonTokenRevocation, instant); n != 0 || err != nil {
			t.Errorf("%s: the second time revokes %d, error %v", name, n, err)
		}
	}
}

func sweepingIsExact(t *testing.T, d *database) {
	one, other := d.open(t), d.open(t)
	one.SetBatch(3)
	const expiring = 8
	var kept []refresh.Token
	for i := range expiring {
		create(t, one, grant(), start())
		kept = append(kept, create(t, one, grant(), start().Add(time.Second)))
		record(t, one, fmt.Sprint("expires", i), start().Add(idle), start(), true)
		record(t, one, fmt.Sprint("stays", i), start().Add(idle+1), start(), true)
	}
	// What is used or revoked stays as long as any token of its family could be used.
	used := create(t, one, grant(), start())
	newest := use(t, one, used, start().Add(time.Minute), refresh.Usable)
	end := start().Add(idle)
	var swept [2]int
	var group sync.WaitGroup
	for i, store := range []*tokenstore.Store{one, other} {
		group.Go(func() {
			n, err := store.Sweep(t.Context(), end)
			if err != nil {
				t.Error(err)
			}
			swept[i] = n
		})
	}
	group.Wait()
	if got := swept[0] + swept[1]; got != 2*expiring {
		t.Errorf("%d rows were swept, want %d", got, 2*expiring)
	}
	for i, token := range kept {
		lookup(t, one, token, end, refresh.Usable)
		record(t, one, fmt.Sprint("stays", i), end, start(), false)
		record(t, one, fmt.Sprint("expires", i), end, start(), true)
	}
	use(t, one, used, end, refresh.Reused)
	use(t, one, newest, end, refresh.Revoked)
	if n, err := one.Sweep(t.Context(), end.Add(absolute)); n != expiring+1+2*expiring || err != nil {
		t.Errorf("a day later %d rows were swept, error %v, want all that are left: %d", n, err, expiring+1+2*expiring)
	}
	use(t, one, newest, end, refresh.Unknown)
}

func record(t *testing.T, store *tokenstore.Store, id string, until, now time.Time, want bool) {
	t.Helper()
	isNew, err := store.Record(t.Context(), tokenstore.Assertion{Audience: "https://issuer.example", Client: "shop.batch", ID: id, Until: until}, now)
	if err != nil {
		t.Fatal(err)
	}
	if isNew != want {
		t.Fatalf("the assertion %s is new: %v, want %v", id, isNew, want)
	}
}

func assertionsAreNewOnce(t *testing.T, d *database) {
	stores := []*tokenstore.Store{d.open(t), d.open(t)}
	until := start().Add(time.Minute)
	record(t, stores[0], "one", until, start(), true)
	record(t, stores[1], "one", until, start(), false)
	record(t, stores[1], "another", until, start(), true)
	for name, other := range map[string]tokenstore.Assertion{
		"of another audience":             {Audience: "https://other.example", Client: "shop.batch", ID: "one", Until: until},
		"of another client":               {Audience: "https://issuer.example", Client: "shop.web", ID: "one", Until: until},
		"whose fields run into the next":  {Audience: "https://issuer.examples", Client: "hop.batch", ID: "one", Until: until},
		"whose fields run into the other": {Audience: "https://issuer.example", Client: "shop.batcho", ID: "ne", Until: until},
	} {
		if isNew, err := stores[1].Record(t.Context(), other, start()); err != nil || !isNew {
			t.Errorf("an assertion %s: new is %v, error %v, want a new one", name, isNew, err)
		}
	}
	record(t, stores[0], "one", until.Add(time.Hour), until.Add(-1), false)
	record(t, stores[0], "one", until.Add(time.Hour), until, true) // the first has expired
	record(t, stores[1], "one", until.Add(time.Hour), until, false)

	const users = 12
	var group sync.WaitGroup
	var news sync.Map
	begin := make(chan struct{})
	for i := range users {
		group.Go(func() {
			<-begin
			isNew, err := stores[i%2].Record(t.Context(), tokenstore.Assertion{ID: "wanted", Until: until}, start())
			if err != nil {
				t.Error(err)
			}
			if isNew {
				news.Store(i, true)
			}
		})
	}
	close(begin)
	group.Wait()
	count := 0
	news.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d were told that their assertion is new, want 1", count)
	}
}

func grantsComeBack(t *testing.T, d *database) {
	store := d.open(t)
	for name, g := range map[string]refresh.Grant{
		"the least": {},
		"the most": {
			Issuer: refresh.Object{Namespace: "shop", Name: "orders", UID: "1"}, Client: refresh.Object{Namespace: "shop", Name: "batch", UID: "2"},
			ClientID: "shop.batch", Subject: "näme with \x00 and ' and \" and $1",
			ServiceAccount: &refresh.Object{Namespace: "shop", Name: "batch", UID: "3"},
			Actor:          []byte(`{"sub":"somebody","act":{"sub":"somebody else"}}`),
			Audiences:      []string{"https://orders.example", "b"}, Scopes: []string{"read", "write"},
			Context: []byte(`{"number":12345678901234567890.10,"text":"\u0000"}`),
		},
	} {
		r, err := store.Create(t.Context(), g, refresh.Lifetimes{Idle: idle, Absolute: absolute}, start().Add(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.Family, lookup(t, store, r.Token, start(), refresh.Usable)); diff != "" {
			t.Errorf("%s (-created +found):\n%s", name, diff)
		}
		if diff := cmp.Diff(g, r.Family.Grant); diff != "" {
			t.Errorf("%s (-granted +created):\n%s", name, diff)
		}
	}
}

func noTokenIsStored(t *testing.T, d *database) {
	store := d.open(t)
	var secrets []string
	for range 3 {
		token := create(t, store, grant(), start())
		for range 3 {
			// Any eight characters of it, wherever they begin.
			text := token.Reveal()[len(refresh.Prefix):]
			for i := range len(text) - 8 {
				secrets = append(secrets, text[i:i+8])
			}
			token = use(t, store, token, start(), refresh.Usable)
		}
	}
	record(t, store, "a-jti-that-nobody-needs-to-know", start().Add(time.Hour), start(), true)
	secrets = append(secrets, "a-jti-that")
	stored := dump(t, store)
	if !strings.Contains(stored, "system:serviceaccount:shop:batch") || strings.Count(stored, "\n") < 5 {
		t.Fatalf("not all of the database was read:\n%s", stored)
	}
	for _, secret := range secrets {
		if strings.Contains(stored, secret) {
			t.Fatalf("the database holds %s of a token:\n%s", secret, stored)
		}
	}
}

// dump is every value of every table.
func dump(t *testing.T, store *tokenstore.Store) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"keyturn_refresh_families", "keyturn_used_assertions", "keyturn_token_store_version"} {
		rows, err := store.Query(t.Context(), "SELECT * FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s %s\n", table, values)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func callersGoAway(t *testing.T, d *database) {
	store := d.open(t)
	token := create(t, store, grant(), start())
	for range 10 {
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := store.Use(gone, token, idle, start()); !errors.Is(err, context.Canceled) || !errors.Is(err, tokenstore.ErrUnavailable) {
			t.Fatalf("got %v, want context.Canceled and ErrUnavailable", err)
		}
	}
	use(t, store, token, start(), refresh.Usable)
}

func foreignRowsAreErrors(t *testing.T, d *database) {
	store := d.open(t)
	token := create(t, store, grant(), start())
	for name, change := range map[string]string{
		"a grant that is no JSON":      "granted = 'nothing'",
		"a hash that is not a SHA-256": "granted = '{}', token_hash = 'abcd'",
	} {
		if err := store.Exec(t.Context(), "UPDATE keyturn_refresh_families SET "+change); err != nil {
			t.Fatal(err)
		}
		_, err := store.Use(t.Context(), token, idle, start())
		if err == nil || errors.Is(err, tokenstore.ErrUnavailable) || !strings.Contains(err.Error(), token.FamilyID()) {
			t.Errorf("%s: got %v, want an error that names the family, and will not pass", name, err)
		}
	}
}
