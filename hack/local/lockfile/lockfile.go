// Package lockfile keeps two runs of the launcher out of each other's way.
package lockfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const retryInterval = 200 * time.Millisecond

// Lock is held until Release, or until its process ends in whatever way: the kernel drops it, so a crash leaves none behind.
type Lock struct {
	file *os.File
}

// Acquire takes the lock at path, creating the file and its folder. While somebody else holds it, Acquire calls
// waiting once, with the process ID of the holder as it wrote it, and tries again until ctx ends.
func Acquire(ctx context.Context, path string, waiting func(holder string)) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create lock folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := acquire(ctx, file, waiting); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	if err := writeHolder(file); err != nil {
		return nil, errors.Join(fmt.Errorf("write lock %s: %w", path, err), file.Close())
	}
	return &Lock{file: file}, nil
}

// Release gives the lock up. The file stays: removing it would let two others lock two different files of one name.
func (l *Lock) Release() error {
	return l.file.Close()
}

func acquire(ctx context.Context, file *os.File, waiting func(holder string)) error {
	told := false
	return wait.PollUntilContextCancel(ctx, retryInterval, true, func(context.Context) (bool, error) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return true, err
		}
		if !told {
			waiting(readHolder(file))
			told = true
		}
		return false, nil
	})
}

func readHolder(file *os.File) string {
	content, err := os.ReadFile(file.Name())
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(content))
}

func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}
