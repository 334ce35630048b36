// Package leak looks for private keys, tokens, client secrets and passwords where none may be.
package leak

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Watcher knows what must not be told. Its zero value knows none of the secrets, and how they look. It may be used concurrently.
type Watcher struct {
	mu sync.Mutex
	// secrets are what they are, by the secret.
	secrets map[string]string
	// needles are the forms that each can have in a text, by how the form begins.
	needles map[uint64][]needle
	// maybe says by a hash of how a form begins whether there is one: most of a text begins none, and millions of bytes are looked at.
	maybe [1 << 16]uint64
}

// needle is one form of a secret.
type needle struct{ text, what string }

// Token adds a compact token. Its signature is what makes it one.
func (w *Watcher) Token(compact string) { w.signed(compact, "a token that was issued") }

// Assertion adds a compact token by which a client proves itself.
func (w *Watcher) Assertion(compact string) { w.signed(compact, "an assertion that was made") }

func (w *Watcher) signed(compact, what string) {
	if parts := strings.Split(compact, "."); len(parts) == 3 && parts[2] != "" {
		w.encoded(parts[2], what)
	}
}

// ClientSecret adds a secret by which a client proves itself.
func (w *Watcher) ClientSecret(text string) { w.opaque(text, "a client secret that was stored") }

// RefreshToken adds a refresh token, which looks like nothing.
func (w *Watcher) RefreshToken(text string) { w.opaque(text, "a refresh token that was issued") }

// DatabaseURL adds the password of a URL, which may be that of its user, or a parameter.
func (w *Watcher) DatabaseURL(text string) {
	parsed, err := url.Parse(text)
	if err != nil {
		return
	}
	password, _ := parsed.User.Password()
	for _, secret := range []string{password, parsed.Query().Get("password")} {
		w.opaque(secret, "the password of a database")
		w.opaque(url.QueryEscape(secret), "the password of a database")
	}
}

func (w *Watcher) opaque(text, what string) {
	const short = 16 // What is shorter may be found by chance.
	if len(text) >= short {
		w.add(text, what, forms([]byte(text))...)
	}
}

// encoded adds what is base64url, as it is and as what it stands for.
func (w *Watcher) encoded(text, what string) {
	found := append([]string{text}, forms([]byte(text))...)
	if raw, err := base64.RawURLEncoding.DecodeString(text); err == nil {
		found = append(append(found, forms(raw)...), decimal(raw))
	}
	w.add(text, what, found...)
}

// Secret adds all that is secret in a Secret, by what its entries look like. What cannot be read holds nothing.
func (w *Watcher) Secret(secret *corev1.Secret) {
	for name, content := range secret.Data {
		text := string(content)
		switch {
		case name == v1alpha1.SecretKeyClientSecret, name == v1alpha1.SecretKeyPreviousClientSecret:
			w.ClientSecret(text)
		case strings.Contains(text, "PRIVATE KEY-----"):
			w.PEM(text)
		case strings.Contains(text, "://"):
			w.DatabaseURL(text)
		case strings.HasPrefix(text, "{"):
			_ = w.PrivateKeys(content)
		default:
			w.Token(text)
		}
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

const storedKey = "a private key that was stored"

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
				w.encoded(text, storedKey)
			}
			w.walk(member)
		}
	}
}

// PEM adds private keys in that form.
func (w *Watcher) PEM(text string) {
	for line := range strings.Lines(text) {
		const whole = 64 // The last line may be short enough to be found by chance.
		if line = strings.TrimSpace(line); len(line) == whole {
			w.add(line, storedKey, append(forms([]byte(line)), line)...)
		}
	}
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		for _, number := range numbers(block) {
			w.add(string(number), storedKey, append(forms(number), decimal(number))...)
		}
	}
}

func (w *Watcher) add(secret, what string, found ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets == nil {
		w.secrets, w.needles = map[string]string{}, map[uint64][]needle{}
	}
	if _, known := w.secrets[secret]; known {
		return
	}
	w.secrets[secret] = what
	for _, form := range append(found, secret) {
		if len(form) >= beginning {
			at := begins(form)
			word, bit := place(at)
			w.maybe[word] |= bit
			w.needles[at] = append(w.needles[at], needle{form, what})
		}
	}
}

// Known is how many secrets the watcher looks for.
func (w *Watcher) Known() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.secrets)
}

// beginning is how much of a form is looked for first, in bytes. No form is shorter.
const beginning = 8

func begins(text string) uint64 { return binary.LittleEndian.Uint64([]byte(text[:beginning])) }

// place is where maybe has what is known of a beginning.
func place(beginning uint64) (word int, bit uint64) {
	const spread = 0x9e3779b97f4a7c15 // The golden ratio, which leaves no pattern of texts.
	hash := beginning * spread >> 42
	return int(hash >> 6), 1 << (hash & 63)
}

// look is how a secret looks that is not known: what it begins with, and what all of it is like.
type look struct {
	what, start string
	whole       *regexp.Regexp
}

func looks() []look {
	return []look{
		{"what looks like a token", "eyJ", regexp.MustCompile(`^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+`)},
		{"what looks like a private JWK", `"d`, regexp.MustCompile(`^"d\\?":\s*\\?"[\w-]{20}`)},
		{"what looks like a private key in PEM", "PRIVATE KEY-----", regexp.MustCompile(`^`)},
	}
}

// isIn says whether something in a text looks like that. A regular expression is slow, so it is asked only where one can begin.
func (l look) isIn(text string) bool {
	for at := strings.Index(text, l.start); at >= 0; {
		text = text[at:]
		if l.whole.MatchString(text) {
			return true
		}
		text = text[1:]
		at = strings.Index(text, l.start)
	}
	return false
}

// Find says what of it stands in a text, in whatever form, without repeating it.
func (w *Watcher) Find(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]bool{}
	at := uint64(0) // Of the bytes up to and with this one.
	for end := range len(text) {
		at = at>>8 | uint64(text[end])<<56
		i := end + 1 - beginning
		if i < 0 {
			continue
		}
		if word, bit := place(at); w.maybe[word]&bit == 0 {
			continue
		}
		for _, sought := range w.needles[at] {
			if strings.HasPrefix(text[i:], sought.text) {
				found[sought.what] = true
			}
		}
	}
	for _, look := range looks() {
		if look.isIn(text) {
			found[look.what] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
