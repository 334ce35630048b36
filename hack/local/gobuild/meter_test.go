package gobuild

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMeterLine(t *testing.T) {
	for name, test := range map[string]struct {
		total  int // 0: not counted yet
		output []string
		want   string
	}{
		"nothing known yet":               {want: "it: 0s, 0 modules downloaded"},
		"modules come first":              {output: []string{"go: downloading k8s.io/api v0.1.0\n"}, want: "it: 0s, 1 modules downloaded"},
		"some packages are compiled":      {total: 3, output: []string{"fmt\n", "k8s.io/api/core/v1\n"}, want: "it: 0s, 2 of 3 packages compiled"},
		"a line that comes in two pieces": {total: 3, output: []string{"k8s.io/", "api/core/v1\nfm"}, want: "it: 0s, 1 of 3 packages compiled"},
		"a message is not a package":      {total: 3, output: []string{"# fmt\nfmt/x.go:1:2: undefined: y\n"}, want: "it: 0s, 0 of 3 packages compiled"},
		"all packages are compiled":       {total: 1, output: []string{"fmt\n"}, want: "it: 0s, linking"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				meter := newMeter("it", t.Output())
				if test.total > 0 {
					meter.setTotal(test.total)
				}
				for _, output := range test.output {
					if _, err := meter.Write([]byte(output)); err != nil {
						t.Fatal(err)
					}
				}
				if got := meter.line(); got != test.want {
					t.Errorf("line = %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestMeterReportsAtEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written strings.Builder
		meter := newMeter("it", &written)
		meter.setTotal(2)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		meter.report(ctx, 10*time.Second)

		want := "it: 10s, 0 of 2 packages compiled\nit: 20s, 0 of 2 packages compiled\n"
		if diff := cmp.Diff(want, written.String()); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

func TestMeterKeepsMessagesForTheError(t *testing.T) {
	meter := newMeter("it", t.Output())
	if _, err := meter.Write([]byte("fmt\n# example.com/x\nx.go:1:2: undefined: y\nno newline at the end")); err != nil {
		t.Fatal(err)
	}
	want := "# example.com/x\nx.go:1:2: undefined: y\nno newline at the end"
	if diff := cmp.Diff(want, meter.messages()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
