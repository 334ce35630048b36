package postgres

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// programs is the folder with PostgreSQL's programs. Debian keeps them out of the PATH.
func programs(tb testing.TB) string {
	tb.Helper()
	const debian = "/usr/lib/postgresql/15/bin"
	if _, err := os.Stat(filepath.Join(debian, "postgres")); err == nil {
		return debian
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path)
	}
	const install = "run: apt-get install --no-install-recommends postgresql-15"
	// A machine that exists to run all tests must not skip any.
	for _, variable := range []string{"KEYTURN_INTEROP_REQUIRED", "CI"} {
		if os.Getenv(variable) != "" {
			tb.Fatalf("PostgreSQL is not here, and %s is set: %s", variable, install)
		}
	}
	tb.Skipf("PostgreSQL is not here: %s", install)
	return ""
}

// unprivileged is who runs the server: nil for ourselves, somebody else if we are root.
func unprivileged(tb testing.TB) *syscall.Credential {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		tb.Fatal(err)
	}
	uid, uidErr := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(nobody.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		tb.Fatalf("the user nobody has the IDs %q and %q", nobody.Uid, nobody.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
