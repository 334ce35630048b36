package e2e_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// report is what was seen, for people: a line for each scenario, with its figures.
type report struct {
	mu    sync.Mutex
	lines []string
}

// saw adds a line.
func (r *report) saw(t *testing.T, scenario, format string, figures ...any) {
	t.Helper()
	line := fmt.Sprintf(format, figures...)
	if t.Failed() {
		line = "FAILED: " + line
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, scenario+"\t"+line)
}

func (r *report) write(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\nscenario\twhat was seen\n%s\n", strings.Join(r.lines, "\n"))
	_ = table.Flush()
}
