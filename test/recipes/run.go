package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Kitchen is where pages are executed.
type Kitchen struct {
	// Beside starts a command beside the cluster, where the names of its Services resolve. Its own arguments come first, the
	// command's follow.
	Beside []string
	// Directory is where that command is started; empty for the present one.
	Directory string
	// Folder is empty; the files of the page, and what its commands print, are written below it.
	Folder string
	// Grace is how long programs that were told to end may take.
	Grace time.Duration
	// Environment is that of the commands.
	Environment []string
}

// Run executes the steps of a page in order, in one shell as a reader would, and stops at the first command that fails. What
// the page says under "Clean up" is done in any case, unless ctx was canceled, and no process of it is left when Run returns. The error names the
// line of the page and shows what was printed there.
func (k Kitchen) Run(ctx context.Context, page Page) error {
	if err := k.prepare(page); err != nil {
		return err
	}
	err := k.shell(ctx, "page", k.script("set -eu", page.Steps))
	if err != nil {
		err = k.stopped(err)
	}
	err = errors.Join(k.compare(page.Steps), err)
	if err == nil {
		return nil
	}
	err = errors.Join(err, k.programs(page.Steps))
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s.md: %w", page.Name, err) // Somebody is in a hurry to take everything down.
	}
	k.cleanUp(context.WithoutCancel(ctx), page)
	return fmt.Errorf("%s.md: %w", page.Name, err)
}

const cleanUpDeadline = 2 * time.Minute

func (k Kitchen) cleanUp(ctx context.Context, page Page) {
	ctx, cancel := context.WithTimeout(ctx, cleanUpDeadline)
	defer cancel()
	steps := slices.DeleteFunc(slices.Clone(page.Steps), func(s Step) bool { return !s.CleanUp })
	// It has much to complain about where the page did not get far; what matters is that it is done.
	_ = k.shell(ctx, "clean-up", k.script("set +e", steps))
}

func (k Kitchen) work() string { return filepath.Join(k.Folder, "work") }

// at is the file that holds the line of the step that is being done.
func (k Kitchen) at() string { return filepath.Join(k.Folder, "at") }

// block is the file that holds what is printed in the page at the line of a step; with a suffix, one that belongs to it.
func (k Kitchen) block(step Step, suffix string) string {
	return filepath.Join(k.Folder, fmt.Sprintf("line-%d%s", step.Line, suffix))
}

func (k Kitchen) prepare(page Page) error {
	if err := os.Mkdir(k.work(), 0o755); err != nil {
		return fmt.Errorf("make a folder to work in: %w", err)
	}
	for _, step := range page.Steps {
		if err := os.WriteFile(k.block(step, ""), []byte(step.Text), 0o600); err != nil {
			return fmt.Errorf("write block: %w", err)
		}
	}
	return nil
}

// script sources the blocks one by one, so that what one sets is there in the next, and nothing but a quoted name stands
// between what is printed and the shell.
func (k Kitchen) script(first string, steps []Step) string {
	lines := []string{first, "cd " + quote(k.work())}
	for _, step := range steps {
		lines = append(lines, fmt.Sprintf("printf %d >%s", step.Line, quote(k.at())))
		if step.File != "" {
			lines = append(lines, "mkdir -p "+quote(filepath.Dir(step.File)), "cat "+quote(k.block(step, ""))+" >"+quote(step.File))
			continue
		}
		lines = append(lines, fmt.Sprintf(". %s >%s 2>&1 </dev/null", quote(k.block(step, "")), quote(k.block(step, ".out"))))
	}
	return strings.Join(lines, "\n") + "\n"
}

// shell runs a script as a process group of its own and ends what is left of the group. To leave something is an error.
func (k Kitchen) shell(ctx context.Context, name, script string) error {
	path := filepath.Join(k.Folder, name+".sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return fmt.Errorf("write script: %w", err)
	}
	arguments := append(append([]string{}, k.Beside...), "sh", path)
	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	command.Dir, command.Env = k.Directory, k.Environment
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = k.Grace
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	err := command.Run()
	// What is left may also hold the output open for a moment, until it is another program.
	if errors.Is(err, exec.ErrWaitDelay) || err == nil && !k.ended(ctx, command.Process.Pid) {
		err = errors.New("the page leaves programs running: end them under \"Clean up\"")
	}
	if command.Process != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, said.String())
	}
	return nil
}

// ended waits for the programs of a process group that were told to end.
func (k Kitchen) ended(ctx context.Context, group int) bool {
	return wait.PollUntilContextTimeout(ctx, k.Grace/100, k.Grace, true, func(context.Context) (bool, error) {
		return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH), nil
	}) == nil
}

// stopped tells where the shell was when it failed, and what it had printed there.
func (k Kitchen) stopped(cause error) error {
	line, err := os.ReadFile(k.at())
	if err != nil {
		return fmt.Errorf("nothing was run: %w", cause)
	}
	// There is no output where a file could not be written.
	printed, _ := os.ReadFile(filepath.Join(k.Folder, "line-"+string(line)+".out"))
	return fmt.Errorf("stopped at line %s: %w\n%s", line, cause, printed)
}

// compare finds the steps that printed something else than the page says.
func (k Kitchen) compare(steps []Step) error {
	var wrong []error
	for _, step := range steps {
		printed, err := os.ReadFile(k.block(step, ".out"))
		switch {
		case step.Prints == nil || errors.Is(err, os.ErrNotExist): // It was not begun.
		case err != nil:
			return fmt.Errorf("read output: %w", err)
		case !Match(*step.Prints, string(printed)):
			wrong = append(wrong, fmt.Errorf("line %d should print\n%s\nand printed\n%s", step.Line, *step.Prints, printed))
		}
	}
	return errors.Join(wrong...)
}

// programs tells what the blocks printed that start a program in the background, whose trouble may be why a later one failed.
func (k Kitchen) programs(steps []Step) error {
	var said []error
	for _, step := range steps {
		printed, err := os.ReadFile(k.block(step, ".out"))
		if err == nil && strings.Contains(step.Text, " &\n") {
			said = append(said, fmt.Errorf("line %d and its programs printed\n%s", step.Line, printed))
		}
	}
	return errors.Join(said...)
}

func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
