package webhook

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
)

// unverified is what a token of any issuer says of itself. It decides only by whose rules the token is judged.
type unverified struct {
	issuer string
	// expiry is zero if there is none.
	expiry time.Time
}

var (
	errParts   = errors.New("it must have three parts with a dot between them")
	errSpace   = errors.New("there is white space around it: remove it")
	errTooLong = fmt.Errorf("it is longer than %d bytes", jose.MaxTokenBytes)
)

// readUnverified reads a JWT in compact serialization (RFC 7515 section 7.1, RFC 7519 section 3) of any algorithm, also of
// those that package jose does not know: a foreign token that is labelled is still a token.
func readUnverified(compact string) (unverified, error) {
	switch {
	case strings.TrimSpace(compact) != compact:
		return unverified{}, errSpace
	case len(compact) > jose.MaxTokenBytes:
		return unverified{}, errTooLong
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return unverified{}, errParts
	}
	if _, err := readPart(parts[0]); err != nil {
		return unverified{}, fmt.Errorf("its header %w", err)
	}
	payload, err := readPart(parts[1])
	if err != nil {
		return unverified{}, fmt.Errorf("its payload %w", err)
	}
	if _, err := decodePart(parts[2]); err != nil { // It is empty in an unsecured JWT (RFC 7519 section 6).
		return unverified{}, fmt.Errorf("its signature %w", err)
	}
	return readClaims(payload)
}

// decodePart reads base64url in its one canonical form (RFC 7515 section 2); encoding/base64 skips line breaks.
func decodePart(part string) ([]byte, error) {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") {
		return nil, errors.New("is not base64url without padding")
	}
	return decoded, nil
}

func readPart(part string) (map[string]json.RawMessage, error) {
	decoded, err := decodePart(part)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(decoded, &object); err != nil || object == nil {
		return nil, errors.New("is not a JSON object")
	}
	return object, nil
}

func readClaims(payload map[string]json.RawMessage) (unverified, error) {
	var claims unverified
	if issuer, given := payload["iss"]; given {
		if err := json.Unmarshal(issuer, &claims.issuer); err != nil {
			return unverified{}, errors.New(`its claim "iss" is not a string`)
		}
	}
	expiry, given := payload["exp"]
	if !given {
		return claims, nil
	}
	const endOfTime = 253402300800 // the year 10000, which RFC 3339 cannot write
	seconds, err := strconv.ParseFloat(string(expiry), 64)
	if err != nil || seconds < 0 || seconds >= endOfTime {
		return unverified{}, errors.New(`its claim "exp" is not a number of seconds since 1970 and before the year 10000`)
	}
	// A zero Time means that there is no expiry, and an expiry at the epoch is one.
	claims.expiry = time.Unix(int64(seconds), 0)
	return claims, nil
}
