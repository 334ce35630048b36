package refresh

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Prefix begins every refresh token, so that neither people nor programs that look for leaked secrets take one for something
// else. A JWT never begins like this.
const Prefix = "ktr_"

// What a token is made of, in bytes.
const (
	familyBytes = 16 // the same for all tokens of a family; never shown, see [Token.FamilyID]
	secretBytes = 32 // new for each token
)

// ErrMalformed says that a text is no refresh token of Keyturn's. It never holds the text.
var ErrMalformed = errors.New("not a refresh token: want " + Prefix + " and 64 characters of base64url")

// Token is a refresh token, opaque for clients. It prints, logs and marshals as a placeholder; [Token.Reveal] gives the text.
// The zero value is no token.
//
// It holds a pointer because package fmt prints unexported fields past their methods, but never what such a pointer points to.
type Token struct{ text *string }

// newToken makes the next token of a family.
func newToken(family [familyBytes]byte) Token {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // it never fails: a system without random numbers ends the program
	text := Prefix + base64.RawURLEncoding.EncodeToString(append(family[:], secret[:]...))
	return Token{text: &text}
}

// Parse reads a token in its one form. The error is [ErrMalformed].
func Parse(text string) (Token, error) {
	encoded, found := strings.CutPrefix(text, Prefix)
	// encoding/base64 skips line breaks.
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(familyBytes+secretBytes) || strings.ContainsAny(encoded, "\r\n") {
		return Token{}, ErrMalformed
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(encoded); err != nil {
		return Token{}, ErrMalformed
	}
	return Token{text: &text}, nil
}

// Reveal returns the token, for the one place that hands it to its client. It is empty for the zero value.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// IsZero says whether this is no token.
func (t Token) IsZero() bool { return t.text == nil }

// FamilyID is the ID of the token's family: 32 hexadecimal digits that may be shown, as no token can be made from them. It is
// empty for the zero value.
func (t Token) FamilyID() string {
	if t.IsZero() {
		return ""
	}
	family := t.family()
	hash := sha256.Sum256(family[:])
	return hex.EncodeToString(hash[:16])
}

// family is the part that all tokens of the family share. The token is not zero.
func (t Token) family() [familyBytes]byte {
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(*t.text, Prefix))
	if err != nil || len(decoded) < familyBytes {
		return [familyBytes]byte{} // not reached: every way to make a Token checks this
	}
	return [familyBytes]byte(decoded)
}

// Hash is the SHA-256 of a token, which is all that is ever stored of it.
type Hash [sha256.Size]byte

// String is in hexadecimal digits. It may be shown: no token can be made from it.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Hash returns the token's hash.
func (t Token) Hash() Hash { return sha256.Sum256([]byte(t.Reveal())) }

// String says that this is a token, never which.
func (t Token) String() string {
	if t.IsZero() {
		return "[no refresh token]"
	}
	return "[redacted refresh token]"
}

// Format writes String for every verb and flag.
func (t Token) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, t.String()) // a Formatter cannot report a failed write; fmt itself buffers and never fails
}

// LogValue logs String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes String.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
