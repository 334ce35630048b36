// Package command runs programs that end by themselves.
package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Command is a program to run once.
type Command struct {
	// Launch starts it, for one that runs in other namespaces; nil is (*exec.Cmd).Start.
	Launch func(*exec.Cmd) error
	// Input is what it reads; nil is nothing.
	Input io.Reader
	// Environment is added to that of the launcher.
	Environment []string
}

// Run returns what the program wrote to its standard output, or an error that says what it wrote to the other.
func (c Command) Run(ctx context.Context, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Stdin = c.Input
	command.Env = append(command.Environ(), c.Environment...)
	var output, said bytes.Buffer
	command.Stdout, command.Stderr = &output, &said
	launch := c.Launch
	if launch == nil {
		launch = (*exec.Cmd).Start
	}
	err := launch(command)
	if err == nil {
		err = command.Wait()
	}
	if err == nil {
		return output.String(), nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(said.String()))
}
