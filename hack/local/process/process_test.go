package process_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/keyturn/keyturn/hack/local/process"
)

const grace = time.Minute

func TestIdentityIsMoreThanThePID(t *testing.T) {
	own, err := process.Identify(t.Context(), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	recycled := own
	recycled.Started = "before the machine was started again"

	for name, test := range map[string]struct {
		identity process.Identity
		alive    bool
	}{
		"this very process is alive":                       {identity: own, alive: true},
		"one that had this process ID before it is gone":   {identity: recycled},
		"one whose process ID nobody has any more is gone": {identity: process.Identity{PID: ended(t), Started: own.Started}},
	} {
		t.Run(name, func(t *testing.T) {
			alive, err := test.identity.Alive(t.Context())
			if err != nil || alive != test.alive {
				t.Errorf("alive = %v, %v; want %v", alive, err, test.alive)
			}
		})
	}
}

func TestIdentitySurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid", "self.json")
	own, err := process.Identify(t.Context(), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := own.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	read, err := process.ReadFile(path)
	if err != nil || read != own {
		t.Errorf("read %+v, %v; want %+v", read, err, own)
	}
	if _, err := process.ReadFile(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error of a missing file = %v, want %v", err, os.ErrNotExist)
	}
}

func TestDaemonIsRecordedAndStopped(t *testing.T) {
	for name, script := range map[string]string{
		"a program that ends when it is asked to": "echo started; exec sleep 600",
		"a program that ignores SIGTERM":          "trap '' TERM; echo started; while :; do sleep 600; done",
	} {
		t.Run(name, func(t *testing.T) {
			program := shell(t, script)
			daemon := start(t, program)
			waitForLog(t, program, "started")
			identity, err := process.ReadFile(program.IdentityFile)
			if err != nil {
				t.Fatal(err)
			}
			if alive, err := identity.Alive(t.Context()); err != nil || !alive {
				t.Fatalf("alive = %v, %v; want true", alive, err)
			}

			short := grace
			if strings.HasPrefix(script, "trap") {
				short = time.Millisecond
			}
			if err := process.Stop(t.Context(), identity, short); err != nil {
				t.Fatal(err)
			}
			<-daemon.Exited()
			if alive, err := identity.Alive(t.Context()); err != nil || alive {
				t.Errorf("alive after Stop = %v, %v; want false", alive, err)
			}
		})
	}
}

func TestStopSparesAProcessThatOnlyHasTheSamePID(t *testing.T) {
	received := make(chan os.Signal, 2)
	signal.Notify(received, syscall.SIGTERM, syscall.SIGWINCH)
	defer signal.Stop(received)

	recycled := process.Identity{PID: os.Getpid(), Started: "another time"}
	if err := process.Stop(t.Context(), recycled, grace); err != nil {
		t.Fatal(err)
	}
	// Whatever Stop sent comes before this one.
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	if first := <-received; first != syscall.SIGWINCH {
		t.Errorf("Stop sent %q to a process that it was not asked to stop", first)
	}
}

func TestDaemonTellsHowItEnded(t *testing.T) {
	program := shell(t, "echo no luck >&2; exit 3")
	daemon := start(t, program)
	<-daemon.Exited()
	if got, want := daemon.Status(), "exit status 3"; got != want {
		t.Errorf("status = %q, want %q", got, want)
	}
	waitForLog(t, program, "no luck")
}

func TestNothingRunsWhenItsIdentityCannotBeRecorded(t *testing.T) {
	program := shell(t, "echo ran")
	program.IdentityFile = filepath.Join(program.LogFile, "not-a-folder")
	if _, err := process.Start(t.Context(), program); err == nil {
		t.Fatal("no error, though the identity was not recorded")
	}
	content, err := os.ReadFile(program.LogFile)
	if err != nil || len(content) > 0 {
		t.Errorf("log = %q, %v; the program ran", content, err)
	}
}

func shell(t *testing.T, script string) process.Program {
	t.Helper()
	folder := t.TempDir()
	return process.Program{
		Name:         "test",
		Path:         "/bin/sh",
		Args:         []string{"-c", script},
		LogFile:      filepath.Join(folder, "log", "test.log"),
		IdentityFile: filepath.Join(folder, "pid", "test.json"),
	}
}

func start(t *testing.T, program process.Program) *process.Daemon {
	t.Helper()
	daemon, err := process.Start(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		identity, err := process.ReadFile(program.IdentityFile)
		if err == nil {
			err = process.Stop(context.WithoutCancel(t.Context()), identity, grace)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return daemon
}

func waitForLog(t *testing.T, program process.Program, text string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, grace, true, func(context.Context) (bool, error) {
		content, err := os.ReadFile(program.LogFile)
		return strings.Contains(string(content), text), err
	})
	if err != nil {
		t.Fatalf("%q never appeared in the log: %v", text, err)
	}
}

// ended returns the ID of a process that is over and reaped.
func ended(t *testing.T) int {
	t.Helper()
	command := exec.CommandContext(t.Context(), "true")
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	return command.Process.Pid
}
