package tokenstore_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
	"github.com/keyturn/keyturn/test/postgres"
)

func TestPostgreSQL(t *testing.T) {
	server := postgres.New(t)
	run(t, func(*testing.T) *database { return &database{url: server.Database(), shared: true} })
	t.Run("a wrong password is told without it", func(t *testing.T) {
		const wrong = "not-the-password"
		store := open(t, strings.ReplaceAll(server.Database(), postgres.Password, wrong))
		err := store.Check(t.Context())
		if !errors.Is(err, tokenstore.ErrUnavailable) || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), wrong) {
			t.Errorf("got %v, want that the password is wrong, not which", err)
		}
	})
	t.Run("a row that somebody keeps makes an operation fail, not wait", func(t *testing.T) { keptRow(t, server.Database()) })
	t.Run("a standby is not taken for the database", func(t *testing.T) { standby(t, server.Database()) })
}

func standby(t *testing.T, address string) {
	connection, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	readOnly := func(value string) {
		t.Helper()
		if _, err := connection.Exec(t.Context(), "ALTER ROLE keyturn IN DATABASE "+connection.Config().Database+" SET default_transaction_read_only = "+value); err != nil {
			t.Fatal(err)
		}
	}
	readOnly("on")
	store := open(t, address)
	if err := store.Check(t.Context()); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Errorf("a database that stores nothing gives %v, want ErrUnavailable", err)
	}
	readOnly("off")
	if err := errors.Join(store.Check(t.Context()), connection.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func keptRow(t *testing.T, address string) {
	store := open(t, address+"&statement_timeout=200")
	token := create(t, store, grant(), start())
	connection, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Exec(t.Context(), "BEGIN; SELECT * FROM keyturn_refresh_families FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Use(t.Context(), token, idle, start()); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if n, err := store.Sweep(t.Context(), start().Add(absolute)); n != 0 || err != nil {
		t.Errorf("sweeping gave %d and error %v, want it to leave the row out", n, err)
	}
	if err := connection.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	use(t, store, token, start(), refresh.Usable)
}

func TestPostgreSQLComesAndGoes(t *testing.T) {
	server := postgres.New(t)
	address := server.Database()
	server.Stop()
	one, other := open(t, address), open(t, address)
	if err := one.Check(t.Context()); !errors.Is(err, tokenstore.ErrUnavailable) {
		t.Fatalf("a server that is not there gives %v, want ErrUnavailable", err)
	}
	server.Start()
	token := create(t, one, grant(), start())
	for _, end := range []func(){server.Stop, server.Kill} {
		token = use(t, other, token, start(), refresh.Usable)
		end()
		unavailable(t, other, token)
		server.Start()
		// Each at once, with the connections that it had.
		lookup(t, one, token, start(), refresh.Usable)
		token = use(t, other, token, start(), refresh.Usable)
	}
}

// client refreshes without end, and repeats what was not answered.
type client struct {
	store     *tokenstore.Store
	token     refresh.Token
	refreshed int
	failed    int
}

func (c *client) refresh(t *testing.T) {
	r, err := c.store.Use(t.Context(), c.token, idle, start())
	switch {
	case errors.Is(err, tokenstore.ErrUnavailable):
		c.failed++
	case err != nil:
		t.Error(err)
	case r.State != refresh.Usable:
		t.Errorf("after %d refreshes and %d failures the token is %s", c.refreshed, c.failed, r.State)
	default:
		c.token, c.refreshed = r.Token, c.refreshed+1
	}
}

func TestCrashesOfPostgreSQLCostNoToken(t *testing.T) {
	server := postgres.New(t)
	address := server.Database()
	stores := []*tokenstore.Store{open(t, address), open(t, address)}
	var clients []*client
	for i := range 8 {
		clients = append(clients, &client{store: stores[i%2], token: create(t, stores[0], grant(), start())})
	}
	stop := make(chan struct{})
	attempts := make(chan struct{})
	var group sync.WaitGroup
	for _, c := range clients {
		group.Go(func() {
			for {
				c.refresh(t)
				select {
				case attempts <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
	}
	many := func() {
		for range 100 {
			<-attempts
		}
	}
	for range 3 {
		for _, end := range []func(){server.Kill, server.Stop} {
			many()
			// They go on in the moment in which it ends, and fail from then on.
			over := make(chan struct{})
			go func() {
				defer close(over)
				end()
			}()
			for ended := false; !ended; {
				select {
				case <-attempts:
				case <-over:
					ended = true
				}
			}
			many()
			server.Start()
		}
	}
	many()
	close(stop)
	group.Wait()
	refreshed, failed := 0, 0
	for _, c := range clients {
		refreshed, failed = refreshed+c.refreshed, failed+c.failed
		lookup(t, stores[0], c.token, start(), refresh.Usable)
	}
	if refreshed == 0 || failed == 0 {
		t.Error("all of them failed, or none, so that nothing was shown")
	}
	t.Logf("%d refreshes, %d without an answer", refreshed, failed)
}

func TestNothingIsSaidToAServerWithoutTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is there at once
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 10)
	go func() {
		defer close(heard)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 8)
			_, _ = io.ReadFull(connection, request)
			_, _ = connection.Write([]byte("N")) // PostgreSQL's answer to who asks for TLS where there is none
			rest, _ := io.ReadAll(connection)
			heard <- string(append(request, rest...))
		}
	}()
	err = open(t, "postgres://user:password@"+listener.Addr().String()+"/db\n").Check(t.Context())
	if !errors.Is(err, tokenstore.ErrUnavailable) || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("got %v, want that there is no TLS", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for said := range heard {
		if said != "\x00\x00\x00\x08\x04\xd2\x16\x2f" {
			t.Errorf("the server heard %q, more than the question for TLS", said)
		}
	}
}

func TestNoErrorShowsAPassword(t *testing.T) {
	const password = "s3cretpart"
	for name, address := range map[string]string{
		"a slash in it":                   "postgres://user:" + password + "/x@host/db",
		"a number and a slash in it":      "postgres://user:12/" + password + "@host/db",
		"a question mark in it":           "postgres://user:12?" + password + "=1@host/db",
		"a number sign in it":             "postgres://user:12#" + password + "@host/db",
		"an at sign in it":                "postgres://user:" + password + "@" + password + "@host/db",
		"a percent sign in it":            "postgres://user:%zz" + password + "@host/db",
		"a space in it":                   "postgres://user:" + password + " x@host/db",
		"a port that is none":             "postgres://user:" + password + "@host:port/db",
		"an unknown sslmode":              "postgres://user:" + password + "@host/db?sslmode=maybe",
		"a timeout that is no number":     "postgres://user:" + password + "@host/db?connect_timeout=soon",
		"as a parameter":                  "postgres://user@host/db?password=" + password + "&sslmode=maybe",
		"the scheme of another database":  "mysql://user:" + password + "@host/db",
		"no scheme":                       "user:" + password + "@host/db",
		"sqlite of a host":                "sqlite://host/db",
		"sqlite with parameters":          "sqlite:///db?mode=memory",
		"sqlite of a folder":              "sqlite:///folder/",
		"sqlite of no file":               "sqlite://",
		"a certificate that is not there": "postgres://user:" + password + "@host/db?sslrootcert=/not/there",
	} {
		store, err := tokenstore.Open(t.Context(), address)
		if err == nil {
			t.Errorf("%s: want an error", name)
			_ = store.Close()
			continue
		}
		if strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error shows it: %v", name, err)
		}
	}
	unreachable := "postgres://user:" + url.QueryEscape(password+"@/?#:%") + "@127.0.0.1:1/db?connect_timeout=1"
	err := open(t, unreachable).Check(t.Context())
	if !errors.Is(err, tokenstore.ErrUnavailable) || strings.Contains(err.Error(), password) {
		t.Errorf("a server that is not there: got %v, want ErrUnavailable without the password", err)
	}
}
