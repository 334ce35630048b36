// Package leak looks for private keys and tokens where none may be.
package leak

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Watcher knows what must not be told. Its zero value knows none of the secrets, and how they look. It may be used concurrently.
type Watcher struct {
	mu      sync.Mutex
	secrets map[string]string // what it is, by the part that gives it away
}

// Token adds a compact token. Its signature is what makes it one.
func (w *Watcher) Token(compact string) { w.signed(compact, "a token that was issued") }

// Assertion adds a compact token by which a client proves itself.
func (w *Watcher) Assertion(compact string) { w.signed(compact, "an assertion that was made") }

func (w *Watcher) signed(compact, what string) {
	if parts := strings.Split(compact, "."); len(parts) == 3 && parts[2] != "" {
		w.add(parts[2], what)
	}
}

// ClientSecret adds a secret by which a client proves itself.
func (w *Watcher) ClientSecret(text string) { w.opaque(text, "a client secret that was stored") }

// RefreshToken adds a refresh token, which looks like nothing.
func (w *Watcher) RefreshToken(text string) { w.opaque(text, "a refresh token that was issued") }

func (w *Watcher) opaque(text, what string) {
	const short = 16 // What is shorter may be found by chance.
	if len(text) >= short {
		w.add(text, what)
	}
}

// PrivateKeys adds every private key that a JSON text holds, at any depth.
func (w *Watcher) PrivateKeys(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("read private keys: %w", err)
	}
	w.walk(value)
	return nil
}

func (w *Watcher) walk(value any) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			w.walk(element)
		}
	case map[string]any:
		for name, member := range value {
			// Members of private keys (RFC 7518, section 6).
			if text, ok := member.(string); ok && slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi"}, name) {
				w.add(text, "a private key that was stored")
			}
			w.walk(member)
		}
	}
}

// PEM adds a private key in that form.
func (w *Watcher) PEM(text string) {
	for line := range strings.Lines(text) {
		const whole = 64 // The last line may be short enough to be found by chance.
		if line = strings.TrimSpace(line); len(line) == whole {
			w.add(line, "a private key that was stored")
		}
	}
}

func (w *Watcher) add(secret, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets == nil {
		w.secrets = map[string]string{}
	}
	w.secrets[secret] = what
}

// Known is how many secrets the watcher looks for.
func (w *Watcher) Known() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.secrets)
}

// looks are how secrets look that are not known one by one.
func looks() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"what looks like a token":              regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+`),
		"what looks like a private JWK":        regexp.MustCompile(`\\?"d\\?":\s*\\?"[\w-]{20}`),
		"what looks like a private key in PEM": regexp.MustCompile(`PRIVATE KEY-----`),
	}
}

// Find says what of it stands in a text, without repeating it.
func (w *Watcher) Find(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]bool{}
	for secret, what := range w.secrets {
		if strings.Contains(text, secret) {
			found[what] = true
		}
	}
	for what, look := range looks() {
		if look.MatchString(text) {
			found[what] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
