package clientsecret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
)

const (
	// prefix is what scanners of source code and logs recognise a generated client secret by.
	prefix = "kts_"
	// randomBytes is the entropy of a generated client secret: 256 bits.
	randomBytes = 32
	// shortest is the least length of a client secret in characters.
	shortest = 32
)

// Value is a client secret. It prints, logs and marshals as a placeholder; Reveal gives it. The zero value is none, and equals
// nothing.
//
// It points to its text, because package fmt prints the content of unexported fields, but not what they point to.
type Value struct{ text *string }

// NewValue wraps a client secret that was read as text, so that it redacts itself from there on.
func NewValue(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{&text}
}

// Generate makes a client secret that nobody can guess.
func Generate() Value {
	random := make([]byte, randomBytes)
	_, _ = rand.Read(random) // It never fails: the program would end.
	return NewValue(prefix + base64.RawURLEncoding.EncodeToString(random))
}

// IsZero says whether there is no client secret.
func (v Value) IsZero() bool { return v.text == nil }

// Reveal returns the client secret, for the one place that hands it to its owner.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// Equals compares with what a client has sent, in a time that depends on neither. It costs the same if there is no client secret.
func (v Value) Equals(sent Value) bool {
	mine, other := sha256.Sum256([]byte(v.Reveal())), sha256.Sum256([]byte(sent.Reveal()))
	return subtle.ConstantTimeCompare(mine[:], other[:]) == 1 && !v.IsZero()
}

// problem says why a client secret cannot be used; empty if it can.
func (v Value) problem() string {
	text := v.Reveal()
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return "has a character that is not printable ASCII (RFC 6749 appendix A.2), such as a line break at its end: write it without"
		}
	}
	if len(text) < shortest {
		return fmt.Sprintf("has %d characters: use at least %d, chosen at random", len(text), shortest)
	}
	return ""
}

// String says whether there is a client secret, never which.
func (v Value) String() string {
	if v.IsZero() {
		return "[no client secret]"
	}
	return "[redacted client secret]"
}

// Format writes String for every verb and flag.
func (v Value) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, v.String()) // A Formatter cannot report a failed write; fmt itself buffers and never fails.
}

// LogValue logs String.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText encodes String.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
