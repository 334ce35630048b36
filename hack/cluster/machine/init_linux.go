package machine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Run is the first process of a machine: it gives the machine its view of the files, writes the file Ready into the folder,
// and reaps orphans until it is told to end.
//
// The folder appears as Folder, and other folders under the names that the map gives them. So the machine's paths are
// short enough for sockets wherever the folder lies, and what Kubernetes and containerd keep in well-known places is in the
// folder and not on the host.
func Run(folder string, others map[string]string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM, unix.SIGINT)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, unix.SIGCHLD)
	others = maps.Clone(others)
	others[Folder] = folder
	if err := arrange(others); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(Folder, Ready), nil, 0o600); err != nil {
		return fmt.Errorf("say that the machine is ready: %w", err)
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
func arrange(folders map[string]string) error {
	if err := private(); err != nil {
		return err
	}
	// They may lie below a folder that is covered next, so they are held by handles.
	trees := map[string]int{}
	for target, source := range folders {
		tree, err := detach(source)
		if err != nil {
			return err
		}
		trees[target] = tree
	}
	resolver, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("find /etc/resolv.conf: %w", err)
	}
	if err := mount("proc", "/proc", "proc", 0); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	for target, tree := range trees {
		if err := attach(tree, target); err != nil {
			return err
		}
	}
	for source, target := range map[string]string{"lib": "/var/lib", "log": "/var/log"} {
		if err := bind(filepath.Join(Folder, source), target); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("let packets pass from pod to pod: %w", err)
	}
	// It may have been a file below /run.
	if err := touch(resolver); err != nil {
		return err
	}
	return bind(filepath.Join(Folder, Resolver), resolver)
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

func detach(path string) (tree int, err error) {
	tree, err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("bind %s: %w", path, err)
	}
	return tree, nil
}

func attach(tree int, target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("create mount point: %w", err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount on %s: %w", target, err)
	}
	return unix.Close(tree)
}

func touch(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			file, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o644)
		}
	}
	if err != nil {
		return fmt.Errorf("create mount point: %w", err)
	}
	return file.Close()
}
