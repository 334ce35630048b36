// Package promtool runs Prometheus' own checks for tests.
package promtool

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// requiredVariable, when set, makes a missing program a failure: a machine that exists to run all tests must not skip any.
const requiredVariable = "KEYTURN_INTEROP_REQUIRED"

// Run runs promtool with some input and fails the test if it finds anything wrong. Without the program the test is skipped.
func Run(t testing.TB, input string, arguments ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	const install = "run: apt-get install --no-install-recommends prometheus"
	switch {
	case err != nil && os.Getenv(requiredVariable) != "":
		t.Fatalf("promtool is not here, and %s is set: %s", requiredVariable, install)
	case err != nil:
		t.Skipf("promtool is not here: %s", install)
	}
	command := exec.CommandContext(t.Context(), program, arguments...) //nolint:gosec // a program of that name, for a test
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}
