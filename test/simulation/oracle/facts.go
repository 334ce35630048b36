package oracle

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Facts are what is true of a world, whatever anybody declares.
type Facts struct {
	// Slow and Fast are how far the slowest clock is behind and the fastest ahead; Slow is negative or zero.
	Slow, Fast time.Duration
	// Propagation is how long a mounted ConfigMap or Secret takes to reach a pod at most.
	Propagation time.Duration
	// Staleness is the operator's flag: how long a signer may rely on a ring that it has heard of.
	Staleness time.Duration
	// View is how old the answers of a replica can be that is asked.
	View time.Duration
	// Lag is how long ago what an operator knows can have been true at most, while it is not frozen.
	Lag time.Duration
}

// Token is what a compact token says.
type Token struct {
	KeyID, ID        string
	IssuedAt, Expiry time.Time
	NotBefore        time.Time
	// Rest is everything else that it says: what was asked for.
	Rest string
}

// ReadToken reads a token and verifies nothing.
func ReadToken(compact string) (Token, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return Token{}, errors.New("not three parts")
	}
	var header map[string]any
	var claims map[string]any
	if err := errors.Join(readPart(parts[0], &header), readPart(parts[1], &claims)); err != nil {
		return Token{}, err
	}
	t := Token{
		IssuedAt: instant(claims["iat"]), Expiry: instant(claims["exp"]), NotBefore: instant(claims["nbf"]),
	}
	t.KeyID, _ = header["kid"].(string)
	t.ID, _ = claims["jti"].(string)
	for _, name := range []string{"iat", "exp", "nbf", "jti"} {
		delete(claims, name)
	}
	rest, err := json.Marshal([]any{header["typ"], claims, t.Expiry.Sub(t.IssuedAt)})
	t.Rest = string(rest)
	return t, err
}

func readPart(part string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func instant(claim any) time.Time {
	seconds, _ := claim.(float64)
	return time.Unix(int64(seconds), 0).UTC()
}

// keySet is a JWK Set as anybody can read it: which keys, and which of them are private.
type keySet struct {
	ids     []string
	private []string
	secrets []string
}

// readKeySet reads a JWK Set; nothing if it is none.
func readKeySet(raw []byte) keySet {
	var document struct {
		Keys []struct {
			ID      string `json:"kid"`
			Private string `json:"d"`
		} `json:"keys"`
	}
	if json.Unmarshal(raw, &document) != nil {
		return keySet{}
	}
	var s keySet
	for _, k := range document.Keys {
		s.ids = append(s.ids, k.ID)
		if k.Private != "" {
			s.private, s.secrets = append(s.private, k.ID), append(s.secrets, k.Private)
		}
	}
	return s
}
