package rotation_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutation is one way to break the engine, as testdata/mutations.txt describes it.
type mutation struct {
	sentence, file, goes, comes, test string
}

// readMutations reads the blocks of testdata/mutations.txt.
func readMutations(t *testing.T) []mutation {
	raw, err := os.ReadFile(filepath.Join("testdata", "mutations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var mutations []mutation
	for block := range strings.SplitSeq(string(raw), "\n\n") {
		if strings.HasPrefix(block, "#") {
			continue
		}
		var m mutation
		var goes, comes []string
		for line := range strings.Lines(block) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "-"):
				goes = append(goes, line[1:])
			case strings.HasPrefix(line, "+"):
				comes = append(comes, line[1:])
			case m.sentence == "":
				m.sentence = line
			default:
				m.file += after(line, "in ")
				m.test += after(line, "caught by ")
			}
		}
		m.goes, m.comes = strings.Join(goes, "\n"), strings.Join(comes, "\n")
		mutations = append(mutations, m)
	}
	return mutations
}

func after(line, prefix string) string {
	rest, found := strings.CutPrefix(line, prefix)
	if !found {
		return ""
	}
	return rest
}

// TestMutations checks the checkers: it breaks the engine in each way that testdata/mutations.txt names, and expects the
// test that is named to fail. The engine itself is not touched: the compiler reads the broken file in its place.
func TestMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the package once for each mutation")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	for _, m := range readMutations(t) {
		t.Run(m.sentence, func(t *testing.T) {
			t.Parallel()
			out, err := m.try(t)
			switch {
			case err == nil:
				t.Errorf("%s passes with a broken engine", m.test)
			case !strings.Contains(out, "--- FAIL: "+m.test+" "):
				t.Errorf("%s could not be asked: %v\n%s", m.test, err, out)
			default:
				t.Logf("%s %s", m.test, regexp.MustCompile(`failed after \d+ tests`).FindString(out))
			}
		})
	}
}

// try runs the test of a mutation with the broken engine and returns what it says.
func (m mutation) try(t *testing.T) (string, error) {
	const enough = "3000"
	words := []string{
		"test", "-overlay", m.overlay(t), "-vet=off", "-count=1", "-ldflags=-s -w", "-run", "^" + m.test + "$", ".",
		"-rapid.checks=" + enough, "-rapid.seed=1", "-rapid.shrinktime=0", "-rapid.nofailfile",
	}
	out, err := exec.CommandContext(t.Context(), "go", words...).CombinedOutput() //nolint:gosec // The words are in testdata.
	return string(out), err
}

// overlay writes the broken file, and what tells the compiler to read it.
func (m mutation) overlay(t *testing.T) string {
	source, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(os.DirFS("."), m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), m.goes); n != 1 {
		t.Fatalf("%s holds %d times, want once:\n%s", m.file, n, m.goes)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, m.file)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		broken:                             strings.Replace(string(raw), m.goes, m.comes, 1),
		filepath.Join(dir, "overlay.json"): string(overlay),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "overlay.json")
}
