package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// startTime is counted in ticks since boot (proc(5), field 22 of stat), so the boot belongs to it.
func startTime(_ context.Context, pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "", ErrGone
	}
	if err != nil {
		return "", err
	}
	ticks, err := parseStat(stat)
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + " " + ticks, nil
}

// parseStat reads from the last parenthesis on, because the program's name before it may hold anything.
func parseStat(stat []byte) (ticks string, err error) {
	const state, started = 0, 19
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(fields) <= started {
		return "", fmt.Errorf("unexpected content of /proc/*/stat: %q", stat)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", ErrGone
	}
	return fields[started], nil
}
