package jose

import (
	"encoding/json"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// MaxClientKeys is the most keys with which a client proves itself.
const MaxClientKeys = 16

// CheckClientKeySet says what is wrong with a JWK Set that a client wrote, to prove itself by what its keys sign (RFC 7523): it
// has 1 to [MaxClientKeys] keys, all public and of [Algorithms], each with a kid of its own. Unlike [ParseKeySet] it takes any
// kid, and keys without alg, which are for the algorithm of their curve, or for RS256.
func CheckClientKeySet(data []byte) error {
	if len(data) > MaxKeySetBytes {
		return fmt.Errorf("%w: a JWK Set has at most %d bytes", ErrTooLarge, MaxKeySetBytes)
	}
	members, err := readObject(data)
	if err != nil {
		return err
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(members["keys"], &documents); err != nil || documents == nil {
		return fmt.Errorf("%w: member keys is not an array", ErrMalformed)
	}
	if n := len(documents); n < 1 || n > MaxClientKeys {
		return fmt.Errorf("%w: it has %d keys, 1 to %d are allowed", ErrKey, n, MaxClientKeys)
	}
	seen := map[string]bool{}
	for i, document := range documents {
		id, err := checkClientKey(document)
		if err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
		if seen[id] {
			return fmt.Errorf("keys[%d]: %w: another key before it has the same kid", i, ErrKeyID)
		}
		seen[id] = true
	}
	return nil
}

// checkClientKey returns the kid of a key that can be used.
func checkClientKey(data []byte) (string, error) {
	members, err := readObject(data)
	if err != nil {
		return "", err
	}
	// First, because whoever publishes a private key has to know.
	if err := (document{members: members}).refuse("d", "p", "q", "dp", "dq", "qi", "oth", "k"); err != nil {
		return "", err
	}
	id, _ := readString(members[jwk.KeyIDKey])
	if id == "" {
		return "", fmt.Errorf("%w: member kid is not a text", ErrKeyID)
	}
	// RFC 9864 calls EdDSA with that curve by its own name, and some libraries do already.
	kty, _ := readString(members[jwk.KeyTypeKey])
	if alg, given := members[jwk.AlgorithmKey]; !given || kty == "OKP" && string(alg) == `"Ed25519"` {
		members[jwk.AlgorithmKey] = impliedAlgorithm(members)
	}
	read, err := readMembers(members)
	if err != nil {
		return "", err
	}
	material, err := publicMaterial(read.alg, read.key)
	if err != nil {
		return "", err
	}
	canonical, err := encodeJWK(material, read.alg)
	if err != nil {
		return "", err
	}
	return id, read.mustHave(canonical, jwk.KeyIDKey, jwk.KeyUsageKey)
}

// impliedAlgorithm is the alg, as JSON, of a key that names none.
func impliedAlgorithm(members map[string]json.RawMessage) json.RawMessage {
	kty, _ := readString(members[jwk.KeyTypeKey])
	curve, _ := readString(members[jwk.ECDSACrvKey])
	for _, alg := range Algorithms() {
		known := alg.curve()
		if kty == "RSA" && alg == RS256 || kty == "OKP" && alg == EdDSA || kty == "EC" && known != nil && known.Params().Name == curve {
			return json.RawMessage(`"` + alg + `"`)
		}
	}
	return json.RawMessage(`""`)
}
