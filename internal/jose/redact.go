package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Package fmt cannot call the methods of an unexported field. There it prints the address of a pointer, except that a verb
// which does not fit makes it print the struct, slice or map behind one. A pointer to a string, or to another pointer, is
// safe under every verb, so that is what the two types below are made of.

// String says which key this is, never the key.
func (k PrivateKey) String() string {
	if k.IsZero() {
		return "[no private key]"
	}
	return "[redacted private key " + k.ID() + "]"
}

// Format writes String for every verb and flag.
func (k PrivateKey) Format(state fmt.State, _ rune) { writeRedacted(state, k.String()) }

// LogValue logs String.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a redacted key that was stored in place of the real one would be a lost key.
// [PrivateKey.JWK] is the explicit way.
func (k PrivateKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("marshal private key: refused, the JWK method encodes one on purpose")
}

// Compact is a signed token in compact serialization (RFC 7515 section 7.1). It prints, logs and marshals as a
// placeholder; [Compact.Reveal] gives the token. The zero value is no token.
type Compact struct{ text *string }

// NewCompact wraps a token that was read as text, so that it redacts itself from there on.
func NewCompact(text string) Compact { return Compact{text: &text} }

// Reveal returns the token, for the one place that hands it to its owner. It is empty for the zero value.
func (c Compact) Reveal() string {
	if c.text == nil {
		return ""
	}
	return *c.text
}

// String says that this is a token, never which.
func (c Compact) String() string {
	if c.text == nil {
		return "[no token]"
	}
	return "[redacted token]"
}

// Format writes String for every verb and flag.
func (c Compact) Format(state fmt.State, _ rune) { writeRedacted(state, c.String()) }

// LogValue logs String.
func (c Compact) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes String.
func (c Compact) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

func writeRedacted(state fmt.State, text string) {
	_, _ = io.WriteString(state, text) // a Formatter cannot report a failed write; fmt itself buffers and never fails
}
