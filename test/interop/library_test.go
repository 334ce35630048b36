package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// requiredVariable, when set, makes a missing library a failure: a machine that exists to run these tests must not skip them.
const requiredVariable = "KEYTURN_INTEROP_REQUIRED"

// library is a JOSE implementation of another language, behind a script that reads tasks and writes answers.
type library struct {
	name    string
	install string
	// interpreters are where one that knows the library can be; probe succeeds on it.
	interpreters []string
	probe        []string
	script       string
}

func libraries() []library {
	return []library{
		{
			name:         "jose of npm",
			install:      "install Node.js 18 or later with npm, and run: npm ci --prefix test/interop",
			interpreters: []string{"node", "nodejs"},
			probe:        []string{"--input-type=module", "--eval", "import 'jose'"},
			script:       "testdata/jose.mjs",
		},
		{
			name:    "PyJWT of Python",
			install: "run: apt-get install python3-jwt python3-cryptography",
			// The first in the PATH may know nothing of Debian's packages.
			interpreters: []string{"python3", "/usr/bin/python3"},
			probe:        []string{"-c", "import cryptography; from jwt import PyJWKSet"},
			script:       "testdata/pyjwt.py",
		},
	}
}

// task asks to verify a token, with a JWKS or with what is served about its issuer, or, if there is none, to sign one with a
// key in one of its two forms.
type task struct {
	Token string `json:"token,omitempty"`
	JWKS  string `json:"jwks,omitempty"`
	// Configuration is the URL of the issuer's configuration document, and CA what to trust there.
	Configuration string `json:"configuration,omitempty"`
	CA            string `json:"ca,omitempty"`

	Issuer   string `json:"issuer,omitempty"`
	Audience string `json:"audience,omitempty"`
	Type     string `json:"type,omitempty"`

	Algorithm string `json:"algorithm"`

	PEM    string         `json:"pem,omitempty"`
	JWK    string         `json:"jwk,omitempty"`
	KeyID  string         `json:"keyID,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
}

// answer holds the claims of a token that verified, why one did not, or a token that was signed.
type answer struct {
	Claims  map[string]any `json:"claims"`
	Refusal string         `json:"refusal"`
	Token   string         `json:"token"`
}

// program is a library that is installed.
type program struct{ interpreter, script string }

// program finds an interpreter that knows the library, or skips the test.
func (l library) program(t *testing.T) program {
	t.Helper()
	for _, candidate := range l.interpreters {
		if _, err := run(t, nil, candidate, l.probe...); err == nil {
			return program{interpreter: candidate, script: l.script}
		}
	}
	if os.Getenv(requiredVariable) != "" {
		t.Fatalf("%s is not here, and %s is set: %s", l.name, requiredVariable, l.install)
	}
	t.Skipf("%s is not here: %s", l.name, l.install)
	return program{}
}

// do returns an answer to each task.
func (p program) do(t *testing.T, tasks ...task) []answer {
	t.Helper()
	asked, err := json.Marshal(tasks)
	if err != nil {
		t.Fatal(err)
	}
	said, err := run(t, asked, p.interpreter, p.script)
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	if err := json.Unmarshal(said, &answers); err != nil {
		t.Fatalf("read what %s answered: %v", p.script, err)
	}
	if len(answers) != len(tasks) {
		t.Fatalf("%s gave %d answers to %d tasks", p.script, len(answers), len(tasks))
	}
	return answers
}

// run returns what a program printed, or an error with its complaint.
func run(t *testing.T, input []byte, name string, arguments ...string) ([]byte, error) {
	t.Helper()
	return runWith(t, nil, input, name, arguments...)
}

// runWith gives the program variables besides those that this one has.
func runWith(t *testing.T, variables []string, input []byte, name string, arguments ...string) ([]byte, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...) //nolint:gosec // The tests of this package name every program.
	command.Env = append(os.Environ(), variables...)
	command.Stdin = bytes.NewReader(input)
	var said, complaint bytes.Buffer
	command.Stdout, command.Stderr = &said, &complaint
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", name, err, complaint.String())
	}
	return said.Bytes(), nil
}
