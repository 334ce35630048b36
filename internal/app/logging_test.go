package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// TestAllThatIsLoggedIsJSON also what the Kubernetes client says of the election of a leader.
func TestAllThatIsLoggedIsJSON(t *testing.T) {
	out, before := new(bytes.Buffer), slog.Default()
	SetLogger(zap.New(zap.WriteTo(out)))
	t.Cleanup(klog.ClearLogger)
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr)
	})
	ctrl.Log.WithName("a").Info("one", "keyID", "k")
	ctrl.Log.V(1).Info("too much")
	klog.Background().Info("two", "lock", "keyturn")
	klog.ErrorS(errors.New("no"), "three")
	log.Print("four")

	type line struct {
		Level  string `json:"level"`
		Msg    string `json:"msg"`
		Logger string `json:"logger"`
		TS     string `json:"ts"`
	}
	var got []line
	for text := range bytes.Lines(out.Bytes()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := time.Parse(time.RFC3339, l.TS); err != nil {
			t.Errorf("the time is %q: %v", l.TS, err)
		}
		got = append(got, line{Level: l.Level, Msg: l.Msg, Logger: l.Logger})
	}
	want := []line{{"info", "one", "a", ""}, {"info", "two", "client-go", ""}, {"error", "three", "client-go", ""}, {"info", "four", "go", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}
