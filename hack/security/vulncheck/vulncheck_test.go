package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatCanBeReachedIsFound in a database of one vulnerability that is made up, so that the check is known to be able to fail.
func TestWhatCanBeReachedIsFound(t *testing.T) {
	folder, err := filepath.Abs(filepath.Join("testdata", "database"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		reaches bool
	}{{"./reaches", true}, {"./spares", false}} {
		var out bytes.Buffer
		err := check(t.Context(), filepath.Join("testdata", "program"), "file://"+folder, toolchain{}, &out, c.program)
		if (err != nil) != c.reaches || strings.Contains(out.String(), "main.go:7:") != c.reaches {
			t.Errorf("%s: %v\n%s", c.program, err, out.String())
		}
	}
}

func TestWithoutADatabaseNothingIsCheckedAndThatIsAFailure(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	away := httptest.NewServer(http.NotFoundHandler())
	defer away.Close()
	var out bytes.Buffer
	err := run(t.Context(), filepath.Join("testdata", "program"), away.URL, &out)
	if err == nil || !strings.Contains(err.Error(), "nothing was checked") || !strings.Contains(err.Error(), "404") {
		t.Errorf("the error is %v\n%s", err, out.String())
	}
}

func TestADatabaseThatCanBeReachedIsTaken(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/index/db.json" {
			_, _ = w.Write([]byte(`{"modified":"2031-05-01T12:00:00Z"}`))
		}
	}))
	defer there.Close()
	known, err := choose(t.Context(), there.URL)
	if err != nil || known.url != there.URL || !strings.Contains(known.about, "2031-05-01") {
		t.Errorf("it is %+v, %v", known, err)
	}
}

func TestAFewWaysToAVulnerabilityAreShown(t *testing.T) {
	report := "Vulnerability #1: GO-1\n  Example traces found:\n      #1: a\n      #2: b\n      #3: c\n      #4: d\n      #12: e\n\nVulnerability #12: GO-2\n"
	want := "Vulnerability #1: GO-1\n  Example traces found:\n      #1: a\n      #2: b\n      #3: c\n\nVulnerability #12: GO-2\n"
	if got := string(few([]byte(report))); got != want {
		t.Errorf("it is %q", got)
	}
}

func TestTheStandardLibraryIsThatOfTheToolchainInGoMod(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	for sentence, c := range map[string]struct{ module, want string }{
		"none is named":             {"module example.com/x\n\ngo 1.26.0\n", "of this machine"},
		"an older one is named":     {"module example.com/x\n\ngo 1.26.0\n\ntoolchain go1.26.1\n", "of this machine"},
		"one that cannot be had is": {"module example.com/x\n\ngo 1.26.0\n\ntoolchain go1.999.9\n", "of this machine, because go1.999.9, which go.mod names, cannot be had"},
	} {
		t.Run(sentence, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte(c.module), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := toolchainOf(t.Context(), folder)
			if err != nil || !strings.Contains(got.about, c.want) || len(got.environment) > 0 {
				t.Errorf("it is %+v, %v, want %q", got, err, c.want)
			}
		})
	}
}
