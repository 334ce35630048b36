package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/keyturn/keyturn/internal/tokenservice"
)

// TestAllThatIsLoggedIsJSON also what the Kubernetes client says of the election of a leader.
func TestAllThatIsLoggedIsJSON(t *testing.T) {
	out := capture(t)
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

// captured is where all tests have the process log: what controller-runtime was told once, it keeps.
var captured bytes.Buffer

// capture is what the process logs until the test ends.
func capture(t *testing.T) *bytes.Buffer {
	t.Helper()
	out, before := &captured, slog.Default()
	out.Reset()
	SetLogger(zap.New(zap.WriteTo(out)))
	t.Cleanup(klog.ClearLogger)
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr)
	})
	return out
}

// asked is a cache that nothing can be read from. It keeps the context of who asked last.
type asked struct {
	client.Reader
	context chan context.Context
}

func (a asked) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	a.context <- ctx
	return errors.New("away")
}

// TestWhatTheAuditTellsIsNotLoggedTwice: the library of the token endpoints logs errors of its own, which may quote what was sent.
func TestWhatTheAuditTellsIsNotLoggedTwice(t *testing.T) {
	out := capture(t)
	cache := asked{context: make(chan context.Context, 1)}
	endpoint := tokenservice.NewHandler(tokenservice.Options{Reader: cache, Clock: clock.RealClock{}, Log: zap.New(zap.WriteTo(out)).WithName("audit")}, nil)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/bank/main/token", strings.NewReader("grant_type=client_credentials"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("shop.cart", "x")
	endpoint.ServeHTTP(httptest.NewRecorder(), request)

	audited := <-cache.context
	for _, logger := range []*slog.Logger{slog.Default(), slog.With("a", "b"), slog.Default().WithGroup("g"), slog.With("a", "b").WithGroup("g")} {
		logger.ErrorContext(audited, "of a request")
		logger.InfoContext(t.Context(), "of another")
	}
	got := map[string]int{}
	for text := range bytes.Lines(out.Bytes()) {
		var line struct {
			Logger string `json:"logger"`
			Msg    string `json:"msg"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if line.Msg != "registered route" {
			got[line.Logger+": "+line.Msg]++
		}
	}
	if diff := cmp.Diff(map[string]int{"audit: refused": 1, "go: of another": 4}, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

// secrets answers every request with a Secret.
type secrets struct{}

func (secrets) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"kind":"Secret","apiVersion":"v1","data":{"token":"Y29uZmlkZW50aWFs"}}`)),
	}, nil
}

func TestNoLevelShowsASecret(t *testing.T) {
	for sentence, tt := range map[string]struct {
		level   string
		refused string
	}{
		"info":                     {level: "info"},
		"debug":                    {level: "debug"},
		"the most detail there is": {level: "7"},
		"more than there is":       {level: "8", refused: "--zap-log-level: must be 7 at most, because whole Secrets are logged beyond"},
	} {
		t.Run(sentence, func(t *testing.T) {
			out := new(bytes.Buffer)
			options := zap.Options{DestWriter: out}
			flags := flag.NewFlagSet("keyturn", flag.ContinueOnError)
			options.BindFlags(flags)
			if err := flags.Parse([]string{"--zap-log-level=" + tt.level}); err != nil {
				t.Fatal(err)
			}
			logger, err := NewLogger(&options)
			if tt.refused != "" {
				if err == nil || err.Error() != tt.refused {
					t.Errorf("the error is %v, want %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			api, err := corev1client.NewForConfig(&rest.Config{Transport: secrets{}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := api.Secrets("n").Get(logr.NewContext(t.Context(), logger), "s", metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "Y29uZmlkZW50aWFs") {
				t.Errorf("logged:\n%s", out)
			}
		})
	}
}
