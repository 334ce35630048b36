package tokenstore_test

import (
	"bufio"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/domain/refresh"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// victimVariable makes this program refresh a token in the SQLite file that it names until it is killed.
const victimVariable = "KEYTURN_TOKENSTORE_VICTIM"

func TestSQLite(t *testing.T) {
	run(t, func(t *testing.T) *database {
		return &database{url: (&url.URL{Scheme: "sqlite", Path: filepath.Join(t.TempDir(), "tokens of 100%.db")}).String()}
	})
}

func TestAFileHasOneProcess(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "tokens.db")
	first := open(t, url)
	token := create(t, first, grant(), start())
	second := open(t, url)
	err := second.Check(t.Context())
	if !errors.Is(err, tokenstore.ErrUnavailable) || !strings.Contains(err.Error(), "open in another process") {
		t.Fatalf("the second says %v, want that another process has it open", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// It needs no new start once the first has ended.
	use(t, second, token, start(), refresh.Usable)
}

func TestNothingAcknowledgedIsLostWhenTheProcessIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.db")
	var last refresh.Token
	for range 3 {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$") //nolint:gosec // G204: this program
		command.Env = append(os.Environ(), victimVariable+"="+path)
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; seen < 20 && lines.Scan(); seen++ {
			if last, err = refresh.Parse(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if seen == 10 {
				other := open(t, "sqlite://"+path)
				if err := other.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "open in another process") {
					t.Errorf("a second process says %v, want that another one has the file open", err)
				}
			}
		}
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		// What it had printed before it was killed was acknowledged too.
		for lines.Scan() {
			if token, err := refresh.Parse(lines.Text()); err == nil {
				last = token
			}
		}
		_ = command.Wait() // it was killed
		store := open(t, "sqlite://"+path)
		state, err := store.Lookup(t.Context(), last, start())
		if err != nil {
			t.Fatal(err)
		}
		// It may have been used after it was printed, in the moment of the end.
		if state.State != refresh.Usable && state.State != refresh.Reused {
			t.Errorf("the last token is %s, want it to be known", state.State)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVictim is no test but the process that the one above kills.
func TestVictim(t *testing.T) {
	path := os.Getenv(victimVariable)
	if path == "" {
		t.Skip("only for TestNothingAcknowledgedIsLostWhenTheProcessIsKilled")
	}
	store := open(t, "sqlite://"+path)
	token := create(t, store, grant(), start())
	for {
		if _, err := os.Stdout.WriteString(token.Reveal() + "\n"); err != nil {
			return
		}
		token = use(t, store, token, start(), refresh.Usable)
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tokens.db")
	if err := os.WriteFile(path, nil, 0o666); err != nil { //nolint:gosec // G306: what the store must mend
		t.Fatal(err)
	}
	store := open(t, "sqlite://"+path)
	create(t, store, grant(), start())
	files, err := os.ReadDir(folder)
	if err != nil || len(files) < 2 {
		t.Fatalf("there are %d files, error %v, want the database and its log", len(files), err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", file.Name(), info.Mode())
		}
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	store := open(t, "sqlite://"+filepath.Join(t.TempDir(), "tokens.db"))
	tokens := []refresh.Token{create(t, store, grant(), start())}
	if err := store.Exec(t.Context(), "PRAGMA max_page_count = 20"); err != nil {
		t.Fatal(err)
	}
	var full error
	for full == nil {
		r, err := store.Create(t.Context(), grant(), refresh.Lifetimes{Idle: idle, Absolute: absolute}, start())
		if full = err; err == nil {
			tokens = append(tokens, r.Token)
		}
	}
	if !errors.Is(full, tokenstore.ErrUnavailable) || !strings.Contains(full.Error(), "is full") {
		t.Fatalf("got %v, want that the volume is full", full)
	}
	if err := store.Exec(t.Context(), "PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		use(t, store, token, start(), refresh.Usable)
	}
}

func TestWhatIsWrongWithAFileIsSaidAndCanBeMended(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "volume")
	path := filepath.Join(folder, "tokens.db")
	store := open(t, "sqlite://"+path)
	says := func(want string) {
		t.Helper()
		err := store.Check(t.Context())
		if !errors.Is(err, tokenstore.ErrUnavailable) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want the path and: %s", err, want)
		}
	}
	says("no such file or directory")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(path, []byte(strings.Repeat("not a database", 100)), 0o600)); err != nil {
		t.Fatal(err)
	}
	says("is damaged, or no SQLite database")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	use(t, store, create(t, store, grant(), start()), start(), refresh.Usable)
}
