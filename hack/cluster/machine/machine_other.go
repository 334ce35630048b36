//go:build !linux

package machine

import (
	"errors"
	"os/exec"
)

var errUnsupported = errors.New("only Linux has the namespaces that a cluster needs")

// Create starts nothing here.
func Create(*exec.Cmd) error { return errUnsupported }

// Enter starts nothing here.
func Enter(int) func(*exec.Cmd) error { return Create }

// Exec runs nothing here.
func Exec(int, string, []string) error { return errUnsupported }

// Run does nothing here.
func Run(View) error { return errUnsupported }
