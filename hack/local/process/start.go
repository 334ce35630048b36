package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// holdBack waits for a line before it becomes the program, and ends without one: a launcher that is killed before it
// has recorded the process leaves no process behind. The process keeps its ID and start time when it becomes the program.
const holdBack = `read -r line && exec "$@" </dev/null`

// Program is what Start runs.
type Program struct {
	Name string
	Path string
	Args []string
	// LogFile receives everything that the program writes.
	LogFile string
	// IdentityFile receives the identity of the process, before the program runs.
	IdentityFile string
	// Launch starts the command, for programs that start in namespaces of their own; nil is (*exec.Cmd).Start.
	Launch func(*exec.Cmd) error
}

// Daemon is a program in a session of its own: neither the end of the launcher nor a Ctrl-C in its terminal reaches it.
type Daemon struct {
	Program

	exited chan struct{}
	status error
}

// Start starts the program. Its identity is on disk before it runs.
func Start(ctx context.Context, program Program) (*Daemon, error) {
	command, start, err := prepare(ctx, program)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program.Name, err)
	}
	if err := start(); err != nil {
		_ = command.Wait() // It has ended without running anything.
		return nil, fmt.Errorf("start %s: %w", program.Name, err)
	}
	daemon := &Daemon{Program: program, exited: make(chan struct{})}
	go func() {
		daemon.status = command.Wait()
		close(daemon.exited)
	}()
	return daemon, nil
}

// Exited is closed when the process has ended.
func (d *Daemon) Exited() <-chan struct{} {
	return d.exited
}

// Status tells how the process ended ("exit status 1"); call it after Exited is closed.
func (d *Daemon) Status() string {
	if d.status == nil {
		return "exit status 0"
	}
	return d.status.Error()
}

// prepare leaves the process waiting; start records it and lets it run.
func prepare(ctx context.Context, program Program) (command *exec.Cmd, start func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(program.LogFile), 0o700); err != nil {
		return nil, nil, err
	}
	log, err := os.OpenFile(program.LogFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	arguments := append([]string{"-c", holdBack, program.Name, program.Path}, program.Args...)
	command = exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", arguments...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	gate, err := command.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	launch := program.Launch
	if launch == nil {
		launch = (*exec.Cmd).Start
	}
	if err := launch(command); err != nil {
		return nil, nil, err
	}
	return command, func() error {
		recorded := record(ctx, command.Process.Pid, program.IdentityFile)
		if recorded == nil {
			_, recorded = gate.Write([]byte("\n"))
		}
		return errors.Join(recorded, gate.Close())
	}, nil
}

func record(ctx context.Context, pid int, path string) error {
	identity, err := Identify(ctx, pid)
	if err != nil {
		return err
	}
	return identity.WriteFile(path)
}
