package jose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
)

// Sign signs claims, a JSON object, as they are. The header is exactly alg, kid and typ, where typ is a media type such
// as [TypeJWT] or [TypeAccessToken]. What [Parse] would refuse is not signed.
func Sign(key PrivateKey, typ string, claims []byte) (Compact, error) {
	text, err := sign(key, typ, claims)
	if err != nil {
		return Compact{}, fmt.Errorf("sign token: %w", err)
	}
	return Compact{&text}, nil
}

func sign(key PrivateKey, typ string, claims []byte) (string, error) {
	if typ == "" {
		return "", fmt.Errorf("%w: typ is empty", ErrHeader)
	}
	var unsigned Token
	if err := unsigned.readClaims(claims); err != nil {
		return "", err
	}
	header, err := encodeHeader(key.Algorithm(), key.ID(), typ)
	if err != nil {
		return "", err
	}
	encoded := base64.RawURLEncoding.EncodedLen
	text := make([]byte, 0, encoded(len(header))+1+encoded(len(claims))+1+encoded(key.Algorithm().signatureBytes()))
	text = base64.RawURLEncoding.AppendEncode(text, header)
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, claims)
	signature, err := key.sign(text)
	if err != nil {
		return "", err
	}
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, signature)
	if len(text) > MaxTokenBytes {
		return "", fmt.Errorf("%w: a token has at most %d bytes, shorten the claims", ErrTooLarge, MaxTokenBytes)
	}
	return string(text), nil
}

func encodeHeader(alg Algorithm, keyID, typ string) ([]byte, error) {
	header, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ"`
	}{alg, keyID, typ})
	if err != nil {
		return nil, fmt.Errorf("%w: not JSON", ErrHeader)
	}
	return header, nil
}

// CompactBytes is how long a token is at most that has this typ and so many bytes of claims, whichever algorithm its key is for:
// a key can rotate to another one. [Sign] refuses what is longer than [MaxTokenBytes].
func CompactBytes(typ string, claims int) int {
	header, err := encodeHeader(RS512, "", typ) // The names of all algorithms are as long.
	if err != nil {
		return math.MaxInt
	}
	const keyID = (sha256.Size*8 + 5) / 6 // A SHA-256 thumbprint (RFC 7638) in base64url.
	encoded := base64.RawURLEncoding.EncodedLen
	return encoded(len(header)+keyID) + 1 + encoded(claims) + 1 + encoded(RS512.signatureBytes())
}
