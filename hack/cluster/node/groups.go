package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// groupRoot is where the kernel shows its control groups.
const groupRoot = "/sys/fs/cgroup"

// hierarchies returns the folders below which control groups are made: one in version 2, one for each controller before.
func hierarchies() (folders []string, unified bool, err error) {
	if _, err := os.Stat(filepath.Join(groupRoot, "cgroup.controllers")); err == nil {
		return []string{groupRoot}, true, nil
	}
	entries, err := os.ReadDir(groupRoot)
	if err != nil {
		return nil, false, fmt.Errorf("find control groups: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() { // Symbolic links are second names, as of cpu,cpuacct.
			folders = append(folders, filepath.Join(groupRoot, entry.Name()))
		}
	}
	return folders, false, nil
}

// createGroups makes the control groups that hold the pods of the cluster.
func createGroups(name string) error {
	folders, unified, err := hierarchies()
	if err != nil {
		return err
	}
	for _, folder := range folders {
		group := filepath.Join(folder, name)
		if err := os.MkdirAll(group, 0o750); err != nil {
			return fmt.Errorf("create control group: %w", err)
		}
		if !unified {
			continue
		}
		if err := errors.Join(delegate(folder), delegate(group)); err != nil {
			return err
		}
	}
	return nil
}

// delegate lets the groups in a group of version 2 use all controllers that it has itself.
func delegate(group string) error {
	controllers, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read controllers: %w", err)
	}
	var wanted []string
	for controller := range strings.FieldsSeq(string(controllers)) {
		wanted = append(wanted, "+"+controller)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte(strings.Join(wanted, " ")), 0); err != nil {
		return fmt.Errorf("enable controllers: %w", err)
	}
	return nil
}

// groups returns the control groups of the cluster that there are.
func groups(name string) ([]string, error) {
	folders, _, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, folder := range folders {
		group := filepath.Join(folder, name)
		if _, err := os.Stat(group); err == nil {
			found = append(found, group)
		}
	}
	return found, nil
}

// removeGroups removes the cluster's control groups. The kernel may still count processes in them that have just ended.
func removeGroups(ctx context.Context, name string) error {
	var failure error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, stopGrace, true, func(context.Context) (bool, error) {
		found, err := groups(name)
		failure = err
		for _, group := range found {
			failure = errors.Join(failure, removeGroup(group))
		}
		return failure == nil, nil
	})
	if err != nil {
		return fmt.Errorf("remove control groups: %w", errors.Join(failure, context.Cause(ctx)))
	}
	return nil
}

// removeGroup removes folders alone: the files in them are the kernel's.
func removeGroup(group string) error {
	folders, err := subgroups(group)
	for _, folder := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(folder))
	}
	return err
}

// subgroups returns the group and all groups in it, outer ones first.
func subgroups(group string) ([]string, error) {
	var folders []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	return folders, err
}

// members returns the IDs of all processes in the group and in those below it.
func members(group string) ([]string, error) {
	folders, err := subgroups(group)
	if err != nil {
		return nil, err
	}
	var pids []string
	for _, folder := range folders {
		content, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
		pids = append(pids, strings.Fields(string(content))...)
	}
	return pids, nil
}
