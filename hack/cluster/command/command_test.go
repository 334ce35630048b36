package command_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/hack/cluster/command"
)

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		command command.Command
		script  string
		want    string
		wantErr string
	}{
		"what it writes is returned":               {script: "echo one; echo two >&2", want: "one\n"},
		"it reads its input":                       {command: command.Command{Input: strings.NewReader("in")}, script: "cat", want: "in"},
		"it has the environment it is given":       {command: command.Command{Environment: []string{"KEY=value"}}, script: "echo $KEY", want: "value\n"},
		"a failure tells what the program said":    {script: "echo because >&2; exit 3", wantErr: "exit status 3: because"},
		"one that cannot be launched is a failure": {command: command.Command{Launch: refuse}, wantErr: "nobody launches"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.command.Run(t.Context(), "sh", "-c", test.script)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error = %v, want one that says %q", err, test.wantErr)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("Run = %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestAnInterruptIsTheReasonThatIsGiven(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupt signal received")
	cancel(interrupted)
	if _, err := (command.Command{}).Run(ctx, "sh", "-c", "exit 0"); !errors.Is(err, interrupted) {
		t.Errorf("error = %v, want %v", err, interrupted)
	}
}

func refuse(*exec.Cmd) error {
	return errors.New("nobody launches")
}
