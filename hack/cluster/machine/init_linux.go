package machine

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Run is the first process of a machine. It gives the machine its view of the files, then writes the file Ready into the
// folder, and reaps orphans until it is told to end.
func Run(view View) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM, unix.SIGINT)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, unix.SIGCHLD)
	if err := arrange(view); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(Folder, Ready), ""); err != nil {
		return err
	}
	for {
		select {
		case <-stop:
			return nil
		case <-orphans:
			reap()
		}
	}
}

func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// arrange mounts what the machine sees.
func arrange(view View) error {
	if err := private(); err != nil {
		return err
	}
	// These folders may lie below one that is covered next, so handles hold them.
	trees := map[string]int{}
	for target, source := range view.folders() {
		tree, err := detach(source)
		if err != nil {
			return err
		}
		trees[target] = tree
	}
	// What it links to may be covered, too.
	resolver, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("find /etc/resolv.conf: %w", err)
	}
	if err := errors.Join(mount("proc", "/proc", "proc", 0), mount("tmpfs", "/run", "tmpfs", 0)); err != nil {
		return err
	}
	for target, tree := range trees {
		if err := attach(tree, target); err != nil {
			return err
		}
	}
	if err := replace(filepath.Join(Folder, Resolver), resolver); err != nil {
		return err
	}
	return errors.Join(
		bind(filepath.Join(Folder, Data), "/var/lib"),
		bind(filepath.Join(Folder, Logs), "/var/log"),
		shieldKernel(),
		writeFile("/proc/sys/net/ipv4/ip_forward", "1"), // From pod to pod.
	)
}

// shieldKernel shows the kubelet the settings that it wants. It would otherwise make them, for the whole host.
func shieldKernel() error {
	for name, value := range map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	} {
		shown := filepath.Join("/run/kernel", name)
		if err := os.MkdirAll(filepath.Dir(shown), 0o750); err != nil {
			return fmt.Errorf("shield a setting of the kernel: %w", err)
		}
		if err := errors.Join(writeFile(shown, value), bind(shown, filepath.Join("/proc/sys", name))); err != nil {
			return err
		}
	}
	return nil
}

// private keeps mounts from travelling to the host and back.
func private() error {
	return mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE)
}

func bind(source, target string) error {
	return mount(source, target, "", unix.MS_BIND)
}

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

// detach returns a handle to a mount of the folder that is not visible anywhere yet.
func detach(folder string) (tree int, err error) {
	tree, err = unix.OpenTree(unix.AT_FDCWD, folder, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("bind %s: %w", folder, err)
	}
	return tree, nil
}

func attach(tree int, target string) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return fmt.Errorf("create mount point: %w", err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount on %s: %w", target, err)
	}
	return unix.Close(tree)
}

// replace shows the file source at the path target, where no file need be.
func replace(source, target string) error {
	if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return fmt.Errorf("create mount point: %w", err)
		}
		if err := writeFile(target, ""); err != nil {
			return err
		}
	}
	return bind(source, target)
}

func writeFile(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write a file of the machine: %w", err)
	}
	return nil
}
