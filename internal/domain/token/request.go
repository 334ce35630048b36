package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/domain/denylist"
)

// MaxClaimsBytes bounds the further claims of a request, as JSON.
const MaxClaimsBytes = 4096

// Header types.
const (
	// TypeJWT is the "typ" of a plain JWT (RFC 7519 section 5.1).
	TypeJWT = "JWT"
	// TypeAccessToken is the "typ" of an OAuth access token (RFC 9068 section 2.1).
	TypeAccessToken = "at+jwt"
)

// Request is what a token shall say and how long it shall live, defaults filled in. Durations are whole seconds.
type Request struct {
	Issuer    string
	Subject   string
	Audiences []string
	// Type is the "typ" of the header.
	Type string
	// Claims are the further claims, as ParseClaims returns them.
	Claims   map[string]any
	Duration time.Duration
	// RenewBefore is how long before its expiry a token is replaced; zero means after two thirds of its life.
	RenewBefore time.Duration
	// ExpiresAt is the instant that no token outlives and after which none is issued; zero means never.
	ExpiresAt time.Time
	// Skew is how far apart clocks may be: a token is valid that long before it was issued.
	Skew time.Duration
	// Jitter, from 0 to 1, spreads renewals: the same for one request at all times, different between requests.
	Jitter float64
}

// RegisteredClaims are the claims that Keyturn sets (RFC 7519 section 4.1).
func RegisteredClaims() []string {
	return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
}

// ParseClaims reads further claims: one JSON object of at most MaxClaimsBytes that holds none of the registered claims.
// Numbers stay as they are written. No claims at all, or null, are an empty object.
func ParseClaims(raw []byte) (map[string]any, error) {
	if len(raw) > MaxClaimsBytes {
		return nil, fmt.Errorf("are %d bytes of JSON, at most %d are allowed: remove claims or shorten them", len(raw), MaxClaimsBytes)
	}
	var claims map[string]any
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := decode(raw, &claims); err != nil {
			return nil, fmt.Errorf("are not a JSON object: %w", err)
		}
	}
	if claims == nil {
		return map[string]any{}, nil
	}
	// In order, because a message that differs each time is news each time.
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if registered, ok := registeredAs(name); ok && registered != name {
			return nil, fmt.Errorf("hold %+q, which some verifiers take for the registered claim %q: rename it", name, registered)
		} else if ok {
			return nil, fmt.Errorf("hold the registered claim %q, which Keyturn sets: remove it", name)
		}
	}
	return claims, nil
}

// registeredAs returns the registered claim that a name is or can be taken for: verifiers in Go that decode claims into a
// struct fold case, and letters such as U+017F that fold to the same, and the last of two that fold alike wins.
func registeredAs(name string) (string, bool) {
	for _, registered := range RegisteredClaims() {
		if strings.EqualFold(name, registered) {
			return registered, true
		}
	}
	return "", false
}

// ReservedClaim returns the claim of an access token that a name is or can be taken for, and that Keyturn sets: the registered
// claims and those of RFC 9068 section 2.2, RFC 8693 section 4 and RFC 7800 section 3.
func ReservedClaim(name string) (string, bool) {
	if registered, ok := registeredAs(name); ok {
		return registered, true
	}
	for _, reserved := range []string{"client_id", "scope", "act", "may_act", "cnf"} {
		if strings.EqualFold(name, reserved) {
			return reserved, true
		}
	}
	return "", false
}

// Payload is the claims of a token issued at iat with the given ID (RFC 7519 section 4.1, RFC 9068 section 2.2).
func (r Request) Payload(id string, iat time.Time) map[string]any {
	claims := make(map[string]any, len(r.Claims)+len(RegisteredClaims())+1)
	maps.Copy(claims, r.Claims)
	if _, given := claims["client_id"]; r.Type == TypeAccessToken && !given {
		claims["client_id"] = r.ClientID()
	}
	claims["iss"] = r.Issuer
	claims["sub"] = r.Subject
	claims["aud"] = slices.Clone(r.Audiences)
	claims["jti"] = id
	claims["iat"] = iat.Unix()
	claims["nbf"] = iat.Add(-r.Skew).Unix()
	claims["exp"] = r.Expiry(iat).Unix()
	return claims
}

// ClientID is the "client_id" of the tokens: what Claims say, or the subject for an access token; empty if they have none, or one that is
// no text.
func (r Request) ClientID() string {
	given, ok := r.Claims["client_id"]
	if !ok && r.Type == TypeAccessToken {
		return r.Subject
	}
	text, _ := given.(string)
	return text
}

// identity is what a deny list can know of a token before it is issued.
func (r Request) identity(keyID string) denylist.Token {
	return denylist.Token{Subject: r.Subject, ClientID: r.ClientID(), KeyID: keyID}
}

// Expiry is the "exp" of a token issued at iat.
func (r Request) Expiry(iat time.Time) time.Time {
	exp := iat.Add(r.Duration)
	if !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(exp) {
		return r.ExpiresAt
	}
	return exp
}

// Encode renders claims as JSON. Members are sorted, so that the same claims are the same bytes.
func Encode(claims map[string]any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(claims); err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// decode reads exactly one JSON value and keeps numbers as they are written.
func decode(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("more follows the first value")
	}
	return nil
}
