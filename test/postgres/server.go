package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Password is that of the server's superuser, whose name is keyturn.
const Password = "correct-horse-battery"

// startLimit is how long a server may take to start, on a machine that does much else.
const startLimit = time.Minute

// Server is a PostgreSQL server. Its methods fail the test when they cannot do what they say.
type Server struct {
	tb        testing.TB
	programs  string // folder
	folder    string // of the data and the socket
	user      *syscall.Credential
	databases atomic.Int64

	process *os.Process
	// ended is closed when none of the server's processes is left.
	ended chan struct{}
	// leash ends the server when it is closed with nothing in it, and so when the test's process ends.
	leash io.WriteCloser
	// output is what the server has said since it was made; to be read when it has ended.
	output bytes.Buffer
}

// New makes a server that runs until the test ends. Without PostgreSQL the test is skipped, or fails where all must run.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, programs: programs(tb)}
	s.makeFolder()
	s.initialize()
	s.Start()
	tb.Cleanup(func() {
		if s.process != nil {
			s.Stop()
		}
		if tb.Failed() {
			tb.Logf("PostgreSQL said:\n%s", s.output.String())
		}
	})
	return s
}

// Database makes an empty database and returns its URL.
func (s *Server) Database() string {
	s.tb.Helper()
	name := "test" + strconv.FormatInt(s.databases.Add(1), 10)
	ctx, cancel := context.WithTimeout(s.tb.Context(), startLimit)
	defer cancel()
	connection, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		s.tb.Fatal(err)
	}
	_, err = connection.Exec(ctx, "CREATE DATABASE "+name)
	if err := errors.Join(err, connection.Close(ctx)); err != nil {
		s.tb.Fatal(err)
	}
	return s.URL(name)
}

// URL is that of a database, with the password.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.folder}, "user": {"keyturn"}, "password": {Password}}
	return "postgres:///" + database + "?" + query.Encode()
}

// Start starts the server, which is not running, and waits until it can be asked.
func (s *Server) Start() {
	s.tb.Helper()
	command := exec.Command("/bin/sh", "-c", leashed, "sh", //nolint:noctx // it outlives the test's context, and end ends it
		filepath.Join(s.programs, "postgres"), "-D", s.data(), "-k", s.folder, "-h", "", "-F", "-c", "max_connections=50")
	command.Dir, command.Stdout, command.Stderr = s.folder, &s.output, &s.output
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	leash, err := command.StdinPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		s.tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// How it ended does not matter, as a crash is what some tests want. Its processes for connections have its output too, so that this
		// waits for them as well.
		_ = command.Wait()
	}()
	s.process, s.leash, s.ended = command.Process, leash, ended
	s.wait()
}

// Stop stops the server; what was not committed is rolled back, and connections are closed.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server as a crash does: nothing is flushed, and nobody is told.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(how syscall.Signal) {
	s.tb.Helper()
	if s.process == nil {
		s.tb.Fatal("PostgreSQL does not run")
	}
	_, err := io.WriteString(s.leash, "let go\n")
	if err := errors.Join(err, s.process.Signal(how)); err != nil {
		s.tb.Fatalf("end PostgreSQL: %v", err)
	}
	<-s.ended
	s.process = nil
}

// leashed runs a program that ends when the shell's input does, or goes on if a line came before.
const leashed = `exec 3<&0; (read -r line <&3; [ "$line" ] || kill -INT $$) >/dev/null 2>&1 & exec "$@" 3<&-`

// wait waits until the server can be asked.
func (s *Server) wait() {
	s.tb.Helper()
	err := wait.PollUntilContextTimeout(s.tb.Context(), 10*time.Millisecond, startLimit, true, func(context.Context) (bool, error) {
		select {
		case <-s.ended:
			return false, errors.New("it has ended")
		default:
			return s.isReady(), nil
		}
	})
	if err != nil {
		s.tb.Fatalf("wait for PostgreSQL: %v", err)
	}
}

// isReady reads what the server writes in its folder: first its process, in the eighth line whether it can be asked.
func (s *Server) isReady() bool {
	content, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	return lines[0] == strconv.Itoa(s.process.Pid) && len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) initialize() {
	s.tb.Helper()
	secret := filepath.Join(s.folder, "password")
	if err := os.WriteFile(secret, []byte(Password), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	s.give(secret)
	command := exec.CommandContext(s.tb.Context(), filepath.Join(s.programs, "initdb"), "-D", s.data(), "-U", "keyturn",
		"--auth=scram-sha-256", "--pwfile="+secret, "--no-sync", "--encoding=UTF8", "--locale=C")
	command.Dir = s.folder
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	if said, err := command.CombinedOutput(); err != nil {
		s.tb.Fatalf("initdb: %v\n%s", err, said)
	}
}

func (s *Server) give(path string) {
	s.tb.Helper()
	if s.user == nil {
		return
	}
	if err := os.Chown(path, int(s.user.Uid), int(s.user.Gid)); err != nil {
		s.tb.Fatal(err)
	}
}

// makeFolder makes a folder that the server's user can reach; those of TempDir are closed to others.
func (s *Server) makeFolder() {
	s.tb.Helper()
	folder, err := os.MkdirTemp("", "keyturn-postgres-")
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			s.tb.Error(err)
		}
	})
	s.folder, s.user = folder, unprivileged(s.tb)
	s.give(folder)
}
