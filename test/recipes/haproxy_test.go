package recipes

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/jose"
)

// debian is the PATH of recipes, without kubectl.
const debian = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// guard is HAProxy and the program that brings it keys, both as the page has them, beside a JWKS that the test writes.
type guard struct {
	t      *testing.T
	page   Page
	folder string
	url    string
	answer atomic.Pointer[http.HandlerFunc]
}

func newGuard(t *testing.T, folder string) *guard {
	t.Helper()
	page, err := ReadPage(filepath.Join(top(t), "docs", "recipes", "haproxy.md"))
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{t: t, page: page, folder: folder}
	issuer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*g.answer.Load())(w, r) }))
	t.Cleanup(issuer.Close)
	g.url = issuer.URL
	g.write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})))
	for _, step := range page.Steps {
		if step.File != "" {
			// A socket in the folder is nobody else's, which no port is.
			g.write(step.File, strings.ReplaceAll(step.Text, "bind 127.0.0.1:8080", "bind unix@http.sock"))
		}
	}
	return g
}

func (g *guard) write(name, content string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.folder, name), []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// read returns a file of the folder, or nothing.
func (g *guard) read(name string) string {
	content, _ := os.ReadFile(filepath.Join(g.folder, name))
	return string(content)
}

// start starts in the background the command of the page that begins so; what it prints is in a file of that name.
func (g *guard) start(name string) {
	g.t.Helper()
	for _, step := range g.page.Steps {
		for line := range strings.Lines(step.Text) {
			printed, background := strings.CutSuffix(line, " &\n")
			if step.File == "" && background && strings.HasPrefix(printed, name+" ") {
				g.run(name, strings.ReplaceAll(printed, "https://keyturn.keyturn-system.svc", g.url))
				return
			}
		}
	}
	g.t.Fatalf("the page does not start %s in the background", name)
}

func (g *guard) run(name, line string) {
	g.t.Helper()
	said, err := os.Create(filepath.Join(g.folder, name+".out"))
	if err != nil {
		g.t.Fatal(err)
	}
	command := exec.CommandContext(g.t.Context(), "sh", "-c", "exec "+line)
	command.Dir, command.Env, command.Stdout, command.Stderr = g.folder, []string{debian}, said, said
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = programsGrace
	if err := command.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = command.Wait() // It was told to end.
		_ = said.Close()
		if g.t.Failed() {
			g.t.Logf("%s printed\n%s", name, g.read(name+".out"))
		}
	})
}

// publish makes the JWKS consist of these keys, and of what is no key of Keyturn.
func (g *guard) publish(foreign string, keys ...jose.PrivateKey) {
	g.t.Helper()
	var public []jose.PublicKey
	for _, key := range keys {
		public = append(public, key.Public())
	}
	set, err := jose.NewKeySet(public...).JSON()
	if err != nil {
		g.t.Fatal(err)
	}
	content := strings.Replace(string(set), "[", "["+foreign, 1)
	g.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) })
}

func (g *guard) serve(answer http.HandlerFunc) { g.answer.Store(&answer) }

// await waits for something that takes the programs seconds, however busy the machine is.
func (g *guard) await(what string, is func() error) {
	g.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(g.t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		last = is()
		return last == nil, nil
	})
	if err != nil {
		g.t.Fatalf("%s: %v", what, last)
	}
}

// printed waits until a program has printed something.
func (g *guard) printed(name, text string) {
	g.t.Helper()
	g.await(name+" prints "+text, func() error {
		if !strings.Contains(g.read(name+".out"), text) {
			return errors.New("not yet")
		}
		return nil
	})
}

// answers waits until HAProxy answers so to a token that a key signs.
func (g *guard) answers(when string, status int, key jose.PrivateKey) {
	g.t.Helper()
	now := clock.RealClock{}.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://keyturn.keyturn-system.svc/shop/orders", "sub": "checkout", "aud": []string{"https://orders.example.com"},
		"nbf": now - 60, "exp": now + 600,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	token, err := jose.Sign(key, jose.TypeJWT, claims)
	if err != nil {
		g.t.Fatal(err)
	}
	g.write("authorization", "Authorization: Bearer "+token.Reveal())
	g.await(when, func() error {
		command := exec.CommandContext(g.t.Context(), "curl", "--silent", "--unix-socket", "http.sock", "--header", "@authorization",
			"--output", "answer", "--write-out", "%{http_code}", "http://orders/")
		command.Dir = g.folder
		got, _ := command.Output() // It says 000 if nobody answers.
		if string(got) != strconv.Itoa(status) {
			return fmt.Errorf("status %s, want %d", got, status)
		}
		return nil
	})
}

// keyWithID makes a key until its ID is as wanted.
func keyWithID(t *testing.T, wanted func(id string) bool) jose.PrivateKey {
	t.Helper()
	for {
		key, err := jose.GenerateKey(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		if wanted(key.ID()) {
			return key
		}
	}
}

func beginsWithADash(id string) bool { return strings.HasPrefix(id, "-") }

func beginsWithNoDash(id string) bool { return !beginsWithADash(id) }

func TestHAProxyFollowsTheJWKS(t *testing.T) {
	haproxyIsHere(t)
	home := t.TempDir()
	for name, test := range map[string]struct {
		first, second func(id string) bool
		// revoked publishes the second key instead of the first.
		revoked func(g *guard, second jose.PrivateKey)
	}{
		"one key goes and another comes": {beginsWithNoDash, beginsWithNoDash, func(g *guard, second jose.PrivateKey) {
			g.publish("", second)
		}},
		// One of 64 does.
		"the ID of the key that comes begins with a dash": {beginsWithNoDash, beginsWithADash, func(g *guard, second jose.PrivateKey) {
			g.publish("", second)
		}},
		"the ID of the key that goes begins with a dash": {beginsWithADash, beginsWithNoDash, func(g *guard, second jose.PrivateKey) {
			g.publish("", second)
		}},
		"there is no key for a moment": {beginsWithNoDash, beginsWithNoDash, func(g *guard, second jose.PrivateKey) {
			g.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			g.printed("python3", "503")
			g.publish("", second)
		}},
		"other keys come that HAProxy cannot use": {beginsWithNoDash, beginsWithNoDash, func(g *guard, second jose.PrivateKey) {
			g.publish(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"short","alg":"ES256"},{"kid":"x y","alg":"ES256"},`, second)
		}},
		"HAProxy refuses its configuration at first": {beginsWithNoDash, beginsWithNoDash, func(g *guard, second jose.PrivateKey) {
			good := g.read("haproxy.cfg")
			g.write("haproxy.cfg", good+"\nnonsense\n")
			g.publish("", second)
			g.printed("haproxy", "Loading failure!")
			g.write("haproxy.cfg", good)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, err := os.MkdirTemp(home, "") //nolint:usetesting // The path of a socket must be short.
			if err != nil {
				t.Fatal(err)
			}
			g := newGuard(t, folder)
			first, second := keyWithID(t, test.first), keyWithID(t, test.second)
			g.publish("", first)
			g.start("python3")
			g.await("keys.cfg is written", func() error {
				_, err := os.Stat(filepath.Join(folder, "keys.cfg"))
				return err
			})
			g.start("haproxy")
			g.answers("the first key signs", http.StatusOK, first)
			g.answers("the second key is not published", http.StatusUnauthorized, second)
			test.revoked(g, second)
			g.answers("the first key is revoked", http.StatusUnauthorized, first)
			g.answers("the second key signs", http.StatusOK, second)
		})
	}
}

// haproxyIsHere skips a test on a machine that lacks what the page names.
func haproxyIsHere(t *testing.T) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", "haproxy -v && curl --version && python3 -c 'import cryptography, jwt'")
	command.Env = []string{debian}
	printed, err := command.CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("KEYTURN_INTEROP_REQUIRED") != "":
		t.Fatalf("what docs/recipes/haproxy.md needs is not here: %v\n%s", err, printed)
	default:
		t.Skipf("what docs/recipes/haproxy.md needs is not here: %v", err)
	}
}
