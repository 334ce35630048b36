package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespaces are what a machine has of its own.
const namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC

// Create starts the command as the first process of new namespaces. When that process ends, in whatever way, the kernel
// kills every other process in them and removes their mounts and network devices.
func Create(command *exec.Cmd) error {
	command.SysProcAttr.Cloneflags = namespaces
	return command.Start()
}

// Enter returns a function that starts commands in the namespaces of the machine whose first process has the ID.
func Enter(pid int) func(*exec.Cmd) error {
	return func(command *exec.Cmd) error {
		return onThreadOfItsOwn(func() error {
			if err := enter(pid, namespaces); err != nil {
				return err
			}
			return command.Start()
		})
	}
}

// onThreadOfItsOwn makes the call on a thread on which nothing else ever runs: it stays locked, and so ends with its
// goroutine. The first thread of a process cannot end, and stands for the process in /proc, so that one is never taken.
func onThreadOfItsOwn(call func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			result <- call()
			return
		}
		defer runtime.UnlockOSThread()
		result <- onThreadOfItsOwn(call) // While this thread is held, that is another one.
	}()
	return <-result
}

// Exec replaces this program by another that runs in the network of the machine whose first process has the ID, and asks
// the name servers of the file resolver; it sees the files and processes of the host. It returns only when it fails.
func Exec(pid int, resolver string, arguments []string) error {
	path, err := exec.LookPath(arguments[0])
	if err != nil {
		return fmt.Errorf("find program: %w", err)
	}
	runtime.LockOSThread()
	if err := enter(pid, unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := errors.Join(private(), bind(resolver, "/etc/resolv.conf")); err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", path, unix.Exec(path, arguments, os.Environ()))
}

// enter moves the calling thread, and later its children, into namespaces of the process.
func enter(pid, namespaces int) error {
	// A thread may have a view of the mounts of its own only when it shares no working directory with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("separate a thread: %w", err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("find the machine: %w", err)
	}
	err = unix.Setns(process, namespaces)
	if err != nil {
		err = fmt.Errorf("enter the namespaces of the machine: %w", err)
	}
	return errors.Join(err, unix.Close(process))
}
