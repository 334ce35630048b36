package process_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/hack/local/process"
)

func TestTheDeathOfAProgramEndsTheWatchAndTellsWhatItSaidLast(t *testing.T) {
	folder := t.TempDir()
	ctx, start, stop := process.Watch(t.Context())
	defer stop()
	err := start(process.Program{
		Name:         "etcd",
		Path:         "/bin/sh",
		Args:         []string{"-c", "echo disk is full; exit 4"},
		LogFile:      filepath.Join(folder, "etcd.log"),
		IdentityFile: filepath.Join(folder, "etcd.json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	for _, want := range []string{"etcd has ended: exit status 4", "disk is full"} {
		if told := context.Cause(ctx).Error(); !strings.Contains(told, want) {
			t.Errorf("the cause %q does not say %q", told, want)
		}
	}
}
