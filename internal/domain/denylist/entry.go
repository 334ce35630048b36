package denylist

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
)

// Kind is by what an entry names tokens. Its value is the name of the claim, or header, in which they have it.
type Kind string

// The kinds.
const (
	// TokenID names one token (RFC 7519 section 4.1.7).
	TokenID Kind = "jti"
	// Subject names the tokens of a subject (RFC 7519 section 4.1.2).
	Subject Kind = "sub"
	// ClientID names those of a client (RFC 9068 section 2.2).
	ClientID Kind = "client_id"
	// KeyID names those that a key has signed (RFC 7515 section 4.1.4).
	KeyID Kind = "kid"
	// Everything names all tokens of the issuer. Its value is empty.
	Everything Kind = ""
)

// Entry takes tokens back. Instants are whole seconds.
type Entry struct {
	Kind  Kind
	Value string
	// IssuedBefore is the instant before which the tokens were issued; zero for all of them, whenever they were issued.
	IssuedBefore time.Time
	// Until is when the last of them has expired by every clock, so that the entry can be forgotten; zero if that is not known.
	Until time.Time
}

// IsOver says whether the entry can be forgotten.
func (e Entry) IsOver(now time.Time) bool {
	return !e.Until.IsZero() && !now.Before(e.Until)
}

// Until is when the last token has expired that was issued before an instant. life is the longest time for which a token of the issuer can
// matter to anybody after it was issued.
func Until(issuedBefore time.Time, life time.Duration) time.Time {
	return ceil(issuedBefore.Add(life))
}

// DefaultInstant is the IssuedBefore of a revocation that does not say: whatever was issued in the second of its creation is included.
func DefaultInstant(created time.Time) time.Time {
	return created.UTC().Truncate(time.Second).Add(time.Second)
}

// ceil rounds to the whole second that is not earlier.
func ceil(t time.Time) time.Time {
	return t.UTC().Add(time.Second - time.Nanosecond).Truncate(time.Second)
}

// denies says whether the entry takes back a token that has its value.
func (e Entry) denies(issuedAt time.Time) bool {
	return e.IssuedBefore.IsZero() || issuedAt.Before(e.IssuedBefore)
}

// compare orders entries, so that the same entries are always the same document.
func compare(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value), a.IssuedBefore.Compare(b.IssuedBefore), a.Until.Compare(b.Until))
}

// Token is what a list must know of a token. Texts are empty, and the instant zero, where a token says nothing.
type Token struct {
	ID       string
	Subject  string
	ClientID string
	KeyID    string
	// IssuedAt is zero for a token that does not say when it was issued: it counts as issued before everything.
	IssuedAt time.Time
}

// TokenOf reads what a list must know from a token that was verified.
func TokenOf(says jose.Token) Token {
	t := Token{ID: says.ID, Subject: says.Subject, KeyID: says.KeyID, IssuedAt: says.IssuedAt}
	// A map: into a struct encoding/json would also read Client_ID.
	var claims map[string]json.RawMessage
	if json.Unmarshal(says.Claims, &claims) != nil || json.Unmarshal(claims["client_id"], &t.ClientID) != nil {
		t.ClientID = "" // It has none, or one that is no text.
	}
	return t
}

// value is what the token has for an entry of that kind.
func (t Token) value(kind Kind) string {
	switch kind {
	case TokenID:
		return t.ID
	case Subject:
		return t.Subject
	case ClientID:
		return t.ClientID
	case KeyID:
		return t.KeyID
	default:
		return ""
	}
}
