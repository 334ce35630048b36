package jose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Limits of a JWK Set that is read.
const (
	MaxKeySetBytes = 64 << 10
	MaxKeys        = 100 // some verifiers stop there
)

// KeySet is an immutable, ordered set of public keys (RFC 7517 section 5). The zero value is the empty set.
type KeySet struct{ keys []PublicKey }

// NewKeySet returns the set of the keys in the order given. Of several keys with one ID the first stays.
func NewKeySet(keys ...PublicKey) KeySet {
	var set KeySet
	for _, key := range keys {
		if _, present := set.Lookup(key.ID()); !present {
			set.keys = append(set.keys, key)
		}
	}
	return set
}

// ParseKeySet reads a JWK Set of at most [MaxKeySetBytes] bytes and [MaxKeys] keys. It is for sets that this package
// wrote: where RFC 7517 section 5 lets a reader skip a key that it cannot use, one such key makes the whole set refused,
// and so does a kid that occurs twice. Other members beside keys are ignored. A set may be empty.
func ParseKeySet(data []byte) (KeySet, error) {
	set, err := parseKeySet(data)
	if err != nil {
		return KeySet{}, fmt.Errorf("parse key set: %w", err)
	}
	return set, nil
}

func parseKeySet(data []byte) (KeySet, error) {
	if len(data) > MaxKeySetBytes {
		return KeySet{}, fmt.Errorf("%w: a JWK Set has at most %d bytes", ErrTooLarge, MaxKeySetBytes)
	}
	members, err := readObject(data)
	if err != nil {
		return KeySet{}, err
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(members["keys"], &documents); err != nil || documents == nil {
		return KeySet{}, fmt.Errorf("%w: member keys is not an array", ErrMalformed)
	}
	if len(documents) > MaxKeys {
		return KeySet{}, fmt.Errorf("%w: a JWK Set has at most %d keys", ErrTooLarge, MaxKeys)
	}
	var set KeySet
	for i, document := range documents {
		key, err := parsePublicKey(document)
		if err != nil {
			return KeySet{}, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if _, again := set.Lookup(key.ID()); again {
			return KeySet{}, fmt.Errorf("keys[%d]: %w: another key before it has the same kid", i, ErrKeyID)
		}
		set.keys = append(set.keys, key)
	}
	return set, nil
}

// Keys returns the keys in order.
func (s KeySet) Keys() []PublicKey { return slices.Clone(s.keys) }

// Len returns the number of keys.
func (s KeySet) Len() int { return len(s.keys) }

// Lookup returns the key of that ID.
func (s KeySet) Lookup(id string) (PublicKey, bool) {
	for _, key := range s.keys {
		if key.ID() == id {
			return key, true
		}
	}
	return PublicKey{}, false
}

// JSON returns the set as compact JSON, the same bytes for the same keys in the same order.
func (s KeySet) JSON() ([]byte, error) {
	documents := make([][]byte, 0, len(s.keys))
	for i, key := range s.keys {
		document, err := key.JWK()
		if err != nil {
			return nil, fmt.Errorf("encode key set: keys[%d]: %w", i, err)
		}
		documents = append(documents, document)
	}
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(documents, []byte(",")), []byte("]}")), nil
}
