package verify

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of a JWK Set.
const (
	maxKeySetBytes = 64 << 10
	maxKeys        = 100 // some verifiers stop there
)

// keySet is an immutable set of public keys by kid.
type keySet map[string]key

// parseKeySet reads a JWK Set (RFC 7517 section 5). Keys that this package cannot use are skipped, as that section asks. A
// set is refused whole if it is no JSON, is too large, names a key twice, or has a private or symmetric key in it: whoever
// publishes that has to know.
func parseKeySet(data []byte) (keySet, error) {
	if len(data) > maxKeySetBytes {
		return nil, fmt.Errorf("parse JWK Set: longer than %d bytes", maxKeySetBytes)
	}
	members, ok := readObject(data)
	if !ok {
		return nil, errors.New("parse JWK Set: not a JSON object with each name once")
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(members["keys"], &documents); err != nil || documents == nil {
		return nil, errors.New("parse JWK Set: member keys is not an array")
	}
	if len(documents) > maxKeys {
		return nil, fmt.Errorf("parse JWK Set: more than %d keys", maxKeys)
	}
	set := keySet{}
	for i, document := range documents {
		if err := set.add(document); err != nil {
			return nil, fmt.Errorf("parse JWK Set: keys[%d]: %w", i, err)
		}
	}
	return set, nil
}

func (s keySet) add(document json.RawMessage) error {
	members, ok := readObject(document)
	if !ok {
		return errors.New("not a JSON object")
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, present := members[name]; present {
			return fmt.Errorf("has the private member %s: give verifiers the public keys alone, jwks.json", name)
		}
	}
	read, ok := readKey(members)
	if !ok {
		return nil
	}
	if _, again := s[read.id]; again {
		return errors.New("another key before it has the same kid")
	}
	s[read.id] = read
	return nil
}

// check judges algorithm and signature of a token by the key that has its kid. The key, not the token, says which
// algorithm (RFC 8725 section 3.1).
func (s keySet) check(c *compact) error {
	found, ok := s[c.token.KeyID]
	if !ok {
		return ErrUnknownKey
	}
	if c.token.Algorithm != found.alg {
		return fmt.Errorf("%w: its key is for %s", ErrAlgorithm, found.alg)
	}
	if !found.alg.verifies(found.public, c.text, c.signature) {
		return ErrSignature
	}
	return nil
}
