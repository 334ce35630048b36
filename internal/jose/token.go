package jose

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// MaxTokenBytes is the longest compact token that is signed or read. Web servers commonly take 8 to 16 KiB of headers.
const MaxTokenBytes = 16 << 10

// The values of [Token].Type that this package knows. Both compare without regard to case, with or without the prefix
// application/ (RFC 7515 section 4.1.9), and a Token holds them in this form.
const (
	TypeJWT         = "JWT"    // RFC 7519 section 5.1
	TypeAccessToken = "at+jwt" // RFC 9068 section 2.1
)

// Token is what a compact token says. Times are in UTC and zero when their claim is absent; texts are empty then.
type Token struct {
	KeyID     string    // kid
	Algorithm Algorithm // alg
	Type      string    // typ, see [TypeJWT]

	Issuer    string    // iss
	Subject   string    // sub
	ID        string    // jti
	Audience  []string  // aud, one text or several
	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf
	Expiry    time.Time // exp

	Claims json.RawMessage // the payload, a JSON object, as it was signed
}

// Parse reads a token without verifying its signature: nothing that it returns can be relied on. [Verify] verifies.
// Neither judges time, issuer or audience.
func Parse(compact string) (Token, error) {
	_, token, err := parse(compact)
	if err != nil {
		return Token{}, fmt.Errorf("parse token: %w", err)
	}
	return token, nil
}

// Verify reads a token and verifies its signature by the key of the set that has the token's kid. The token's alg must be
// that key's. An error means that nothing of the token can be relied on.
func Verify(compact string, keys KeySet) (Token, error) {
	token, err := verify(compact, keys)
	if err != nil {
		return Token{}, fmt.Errorf("verify token: %w", err)
	}
	return token, nil
}

func verify(compact string, keys KeySet) (Token, error) {
	signed, token, err := parse(compact)
	if err != nil {
		return Token{}, err
	}
	key, found := keys.Lookup(token.KeyID)
	if !found {
		return Token{}, ErrUnknownKey
	}
	if token.Algorithm != key.Algorithm() {
		return Token{}, fmt.Errorf("%w: alg is %s, the key is for %s", ErrAlgorithm, token.Algorithm, key.Algorithm())
	}
	if err := key.verify(signed.text, signed.signature); err != nil {
		return Token{}, err
	}
	return token, nil
}

// signedText is what a signature covers, and the signature.
type signedText struct{ text, signature []byte }

func parse(compact string) (signedText, Token, error) {
	if len(compact) > MaxTokenBytes {
		return signedText{}, Token{}, fmt.Errorf("%w: a token has at most %d bytes", ErrTooLarge, MaxTokenBytes)
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return signedText{}, Token{}, fmt.Errorf("%w: not the three parts of compact serialization", ErrMalformed)
	}
	var decoded [3][]byte
	for i, name := range []string{"header", "payload", "signature"} {
		var err error
		if decoded[i], err = decode(parts[i]); err != nil {
			return signedText{}, Token{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	var token Token
	if err := token.readHeader(decoded[0]); err != nil {
		return signedText{}, Token{}, err
	}
	if err := token.readClaims(decoded[1]); err != nil {
		return signedText{}, Token{}, err
	}
	return signedText{text: []byte(compact[:strings.LastIndexByte(compact, '.')]), signature: decoded[2]}, token, nil
}

// decode reads base64url in its one canonical form (RFC 7515 section 2); encoding/base64 skips line breaks.
func decode(part string) ([]byte, error) {
	if part == "" {
		return nil, fmt.Errorf("%w: empty", ErrMalformed)
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") {
		return nil, fmt.Errorf("%w: not base64url without padding", ErrMalformed)
	}
	return decoded, nil
}

func (t *Token) readHeader(data []byte) error {
	header, err := readObject(data)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	// Each of these chooses a key, or changes what is signed or must be understood (RFC 7515 section 4.1, RFC 7797).
	for _, name := range []string{"jku", "x5u", "jwk", "x5c", "crit", "b64"} {
		if _, present := header[name]; present {
			return fmt.Errorf("%w: %s, sign the token without it", ErrHeader, name)
		}
	}
	name, _ := readString(header["alg"])
	if t.Algorithm, err = ParseAlgorithm(name); err != nil {
		return fmt.Errorf("header alg: %w", err)
	}
	if t.KeyID, _ = readString(header["kid"]); t.KeyID == "" {
		return fmt.Errorf("header: %w: kid must name the key", ErrKeyID)
	}
	typ, present := header["typ"]
	if !present {
		return nil
	}
	text, ok := readString(typ)
	if !ok {
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
