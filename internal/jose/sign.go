package jose

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	header, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ"`
	}{key.Algorithm(), key.ID(), typ})
	if err != nil {
		return "", fmt.Errorf("%w: not JSON", ErrHeader)
	}
	text := make([]byte, 0, base64.RawURLEncoding.EncodedLen(len(header)+len(claims))+1024)
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
