package verify

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// maxTokenBytes is the longest compact token that is read. Web servers commonly take 8 to 16 KiB of headers.
const maxTokenBytes = 16 << 10

// The values of [Token].Type that this package knows. Both compare without regard to case, with or without the prefix
// application/ (RFC 7515 section 4.1.9), and a Token holds them in this form.
const (
	TypeJWT         = "JWT"    // RFC 7519 section 5.1
	TypeAccessToken = "at+jwt" // RFC 9068 section 2.1
)

// compact is a token that was read and is not to be believed yet.
type compact struct {
	token     Token
	text      []byte // what the signature covers
	signature []byte
}

// parseCompact reads the compact serialization of one signed token (RFC 7515 section 7.1).
func parseCompact(given string) (*compact, error) {
	if len(given) > maxTokenBytes {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxTokenBytes)
	}
	parts := strings.Split(given, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: not the three parts of compact serialization", ErrMalformed)
	}
	var decoded [3][]byte
	for i, name := range []string{"header", "payload", "signature"} {
		var ok bool
		if decoded[i], ok = decodeBase64(parts[i]); !ok || len(decoded[i]) == 0 {
			return nil, fmt.Errorf("%w: %s is not base64url without padding", ErrMalformed, name)
		}
	}
	c := &compact{text: []byte(given[:strings.LastIndexByte(given, '.')]), signature: decoded[2]}
	if err := c.token.readHeader(decoded[0]); err != nil {
		return nil, err
	}
	if err := c.token.readClaims(decoded[1]); err != nil {
		return nil, err
	}
	return c, nil
}

// decodeBase64 reads base64url in its one canonical form (RFC 7515 section 2); encoding/base64 skips line breaks.
func decodeBase64(text string) ([]byte, bool) {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return decoded, err == nil && !strings.ContainsAny(text, "\r\n")
}

func (t *Token) readHeader(data []byte) error {
	header, ok := readObject(data)
	if !ok {
		return fmt.Errorf("%w: header is not a JSON object with each name once", ErrMalformed)
	}
	// Each of these chooses a key, or changes what is signed or must be understood (RFC 7515 section 4.1, RFC 7797).
	for _, name := range []string{"jku", "x5u", "jwk", "x5c", "crit", "b64"} {
		if _, present := header[name]; present {
			return fmt.Errorf("%w: header %s is never honoured", ErrMalformed, name)
		}
	}
	alg, _ := readString(header["alg"])
	if t.Algorithm = readAlgorithm(alg); !slices.Contains(Algorithms(), t.Algorithm) {
		return fmt.Errorf("%w: header alg is missing or none of this package", ErrAlgorithm)
	}
	if t.KeyID, _ = readString(header["kid"]); t.KeyID == "" {
		return fmt.Errorf("%w: header kid does not name a key", ErrMalformed)
	}
	typ, present := header["typ"]
	text, ok := readString(typ)
	if present && !ok {
		return fmt.Errorf("%w: header typ is not a text", ErrMalformed)
	}
	t.Type = mediaType(text)
	return nil
}

func mediaType(typ string) string {
	for _, known := range []string{TypeJWT, TypeAccessToken} {
		if strings.EqualFold(typ, known) || strings.EqualFold(typ, "application/"+known) {
			return known
		}
	}
	return typ
}
