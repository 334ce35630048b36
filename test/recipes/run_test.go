package recipes

import (
	"os"
	"strings"
	"testing"
	"time"
)

// try runs a page without a cluster.
func try(t *testing.T, grace time.Duration, text string) error {
	t.Helper()
	page, err := readText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return Kitchen{Beside: []string{"env"}, Folder: t.TempDir(), Grace: grace, Environment: os.Environ()}.Run(t.Context(), page)
}

func TestAPageThatDoesWhatItSays(t *testing.T) {
	err := try(t, time.Minute, "`folder/soup.txt`:\n'''text soup\nhot\n'''\n"+
		"'''sh\nname=folder/soup.txt\nsleep 600 &\nsleeper=$!\n'''\n"+
		"'''sh\ncat $name\n'''\n'''text\nhot\n'''\n"+
		"## Clean up\n'''sh\nkill $sleeper\n'''\n")
	if err != nil {
		t.Error(err)
	}
}

func TestAPageThatDoesNotDoWhatItSays(t *testing.T) {
	for name, test := range map[string]struct{ page, want string }{
		"a command fails":            {"'''sh\necho before\nfalse\necho after\n'''\n", "soup.md: stopped at line 1: exit status 1\n\nbefore\n"},
		"a command is not there":     {"'''sh\ntrue\n'''\n'''sh\nkeyturn-soup\n'''\n", "stopped at line 4: exit status 127"},
		"a variable was never set":   {"'''sh\necho $soup\n'''\n", "stopped at line 1"},
		"commands that do not parse": {"'''sh\nif\n'''\n", "stopped at line 1"},
		"it prints something else":   {"'''sh\necho cold\n'''\n'''text\nhot\n'''\n", "line 1 should print\nhot\n\nand printed\ncold"},
		"it prints more on the way":  {"'''sh\necho warm >&2; echo hot\n'''\n'''text\nhot\n'''\n", "line 1 should print\nhot\n\nand printed\nwarm\nhot"},
		"a program has trouble": {
			"'''sh\n(echo hot >&2; touch told) &\n'''\n'''sh\nuntil test -e told; do sleep 0.1; done\nfalse\n'''\n",
			"stopped at line 4: exit status 1\n\n\nline 1 and its programs printed\nhot",
		},
		"it leaves a program": {"'''sh\nsleep 600 &\n'''\n", "leaves programs running"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := try(t, time.Millisecond, test.page); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestAPageThatFailsIsCleanedUp(t *testing.T) {
	mark := t.TempDir() + "/mark"
	if err := try(t, time.Millisecond, "'''sh\nfalse\n'''\n## Clean up\n'''sh\nkill $soup\ntouch "+mark+"\n'''\n"); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
}
