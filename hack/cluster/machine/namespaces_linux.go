package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// Create starts the command as the first process of new namespaces. When that process ends, in whatever way, the kernel
// kills every other process in them and removes their mounts and network devices.
func Create(command *exec.Cmd) error {
	command.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC
	return command.Start()
}

// Enter returns a function that starts commands in the namespaces of the machine whose first process has the ID.
func Enter(pid int) func(*exec.Cmd) error {
	return func(command *exec.Cmd) error {
		return onThreadOfItsOwn(func() error {
			if err := enter(pid, "ipc", "net", "pid", "mnt"); err != nil {
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
	if err := enter(pid, "net"); err != nil {
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
func enter(pid int, names ...string) error {
	// A thread may have a view of the mounts of its own only when it shares no working directory with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("separate a thread: %w", err)
	}
	var files []*os.File
	defer func() {
		for _, file := range files {
			_ = file.Close() // Opened for reading only.
		}
	}()
	for _, name := range names { // All are opened first: /proc is another one in the mount namespace.
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		if err != nil {
			return fmt.Errorf("find the namespaces of the cluster: %w", err)
		}
		files = append(files, file)
	}
	for i, file := range files {
		if err := unix.Setns(int(file.Fd()), 0); err != nil {
			return fmt.Errorf("enter the %s namespace of the cluster: %w", names[i], err)
		}
	}
	return nil
}
