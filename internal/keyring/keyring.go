// Package keyring holds a ring together with its key material, and writes it into and reads it from a Secret's data.
//
// The entry ring.json is the truth: a JWK Set (RFC 7517 section 5) with the private half of every key that may sign,
// the public half of every other, and additional members for the ring's instants. Every other entry is derived from it.
package keyring

import (
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
)

// Keyring is a ring with its key material. It is immutable; the zero value is the empty ring.
type Keyring struct {
	ring    rotation.Ring
	private map[string]jose.PrivateKey
	public  map[string]jose.PublicKey
}

// Ring returns the ring without its material.
func (k Keyring) Ring() rotation.Ring { return k.ring }

// IsEmpty says whether there is no key at all.
func (k Keyring) IsEmpty() bool { return len(k.ring.Keys) == 0 }

// Signer returns the private half of the Active key. The second result is false for an empty ring only.
func (k Keyring) Signer() (jose.PrivateKey, bool) {
	active, ok := k.ring.ActiveKey()
	if !ok {
		return jose.PrivateKey{}, false
	}
	key, ok := k.private[active.ID]
	return key, ok
}

// Public returns the set that is published, newest key first.
func (k Keyring) Public() jose.KeySet {
	keys := make([]jose.PublicKey, 0, len(k.ring.Keys))
	for _, key := range k.ring.Keys {
		keys = append(keys, k.public[key.ID])
	}
	return jose.NewKeySet(keys...)
}

// Minter makes the key pairs that an advance of the ring asks for, and keeps them until With takes them.
type Minter struct {
	minted []jose.PrivateKey
}

// Mint generates a key pair; it is a rotation.Mint.
func (m *Minter) Mint(algorithm string) (string, error) {
	alg, err := jose.ParseAlgorithm(algorithm)
	if err != nil {
		return "", fmt.Errorf("read algorithm: %w", err)
	}
	key, err := jose.GenerateKey(alg)
	if err != nil {
		return "", fmt.Errorf("generate key pair: %w", err)
	}
	m.minted = append(m.minted, key)
	return key.ID(), nil
}

// With returns the keyring of a ring that was advanced from this one. Private halves that may sign no more are not in
// it: storing it destroys them. It fails if the ring names a key whose material is in none of the arguments.
func (k Keyring) With(ring rotation.Ring, minter *Minter, recovered jose.KeySet) (Keyring, error) {
	next := Keyring{ring: ring, private: map[string]jose.PrivateKey{}, public: map[string]jose.PublicKey{}}
	minted := map[string]jose.PrivateKey{}
	for _, key := range minter.minted {
		minted[key.ID()] = key
	}
	for _, key := range ring.Keys {
		private, ok := minted[key.ID]
		if !ok {
			private, ok = k.private[key.ID]
		}
		switch {
		case key.NeedsPrivate() && !ok:
			return Keyring{}, fmt.Errorf("key %s is %s and its private half is missing", key.ID, key.State)
		case key.NeedsPrivate():
			next.private[key.ID], next.public[key.ID] = private, private.Public()
			continue
		}
		public, ok := k.public[key.ID]
		if !ok {
			public, ok = recovered.Lookup(key.ID)
		}
		if !ok {
			return Keyring{}, fmt.Errorf("key %s is %s and its public half is missing", key.ID, key.State)
		}
		next.public[key.ID] = public
	}
	return next, nil
}

// ErrCorrupt says that a Secret holds no ring that can be read.
var ErrCorrupt = errors.New("ring is corrupt")
