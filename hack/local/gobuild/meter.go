package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// maxMessages bounds what is kept of the go command's messages; the first errors are the ones that matter.
const maxMessages = 60

// meter reads what the go command writes with -v: the path of each package, as it is compiled, and messages.
type meter struct {
	what     string
	clock    clock.WithTicker
	started  time.Time
	progress io.Writer

	mutex      sync.Mutex
	partial    []byte
	downloaded int
	compiled   int
	counted    bool
	total      int
	kept       []string
}

func newMeter(what string, progress io.Writer) *meter {
	wall := clock.RealClock{}
	return &meter{what: what, clock: wall, started: wall.Now(), progress: progress}
}

// Write takes the output of the go command.
func (m *meter) Write(output []byte) (int, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.partial = append(m.partial, output...)
	for {
		line, rest, found := bytes.Cut(m.partial, []byte("\n"))
		if !found {
			return len(output), nil
		}
		m.take(string(line))
		m.partial = rest
	}
}

func (m *meter) take(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		m.downloaded++
	case line != "" && !strings.ContainsAny(line, " \t"):
		m.compiled++
	case len(m.kept) < maxMessages:
		m.kept = append(m.kept, line)
	}
}

func (m *meter) setTotal(total int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.counted, m.total = true, total
}

func (m *meter) messages() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return strings.Join(append(m.kept, string(m.partial)), "\n")
}

// report writes one line at each interval until ctx ends.
func (m *meter) report(ctx context.Context, interval time.Duration) {
	ticker := m.clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			// Nobody is left to tell when progress itself cannot be written.
			_, _ = fmt.Fprintln(m.progress, m.line())
		}
	}
}

func (m *meter) line() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	elapsed := m.clock.Since(m.started).Truncate(time.Second)
	switch {
	case !m.counted:
		return fmt.Sprintf("%s: %s, %d modules downloaded", m.what, elapsed, m.downloaded)
	case m.compiled < m.total:
		return fmt.Sprintf("%s: %s, %d of %d packages compiled", m.what, elapsed, m.compiled, m.total)
	default:
		return fmt.Sprintf("%s: %s, linking", m.what, elapsed)
	}
}
