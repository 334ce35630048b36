package jose

import (
	"crypto"
	"fmt"
	"slices"
)

// PublicKey is a key that verifies, with the one algorithm it is for. The zero value is no key.
type PublicKey struct{ inner *publicKey }

type publicKey struct {
	id       string
	alg      Algorithm
	material crypto.PublicKey // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
	encoded  []byte           // the JWK
}

// ParsePublicKey reads one public JWK (RFC 7517 section 4) of at most [MaxKeyBytes] bytes, as [PublicKey.JWK] writes it.
// The key must carry its alg and, as kid, its thumbprint; use, when present, must be sig. A key with a private or
// symmetric member is refused, and so is RSA below 2048 or above 8192 bits. Other members are ignored.
func ParsePublicKey(data []byte) (PublicKey, error) {
	key, err := parsePublicKey(data)
	if err != nil {
		return PublicKey{}, fmt.Errorf("parse public key: %w", err)
	}
	return key, nil
}

func parsePublicKey(data []byte) (PublicKey, error) {
	given, err := readJWK(data)
	if err != nil {
		return PublicKey{}, err
	}
	if err := given.refuse("d", "p", "q", "dp", "dq", "qi", "oth", "k"); err != nil {
		return PublicKey{}, err
	}
	material, err := publicMaterial(given.alg, given.key)
	if err != nil {
		return PublicKey{}, err
	}
	key, err := newPublicKey(given.alg, material)
	if err != nil {
		return PublicKey{}, err
	}
	if err := given.mustMatch(key.inner.encoded); err != nil {
		return PublicKey{}, err
	}
	return key, nil
}

func newPublicKey(alg Algorithm, material crypto.PublicKey) (PublicKey, error) {
	id, err := thumbprint(material)
	if err != nil {
		return PublicKey{}, err
	}
	encoded, err := encodeJWK(material, alg)
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey{&publicKey{id: id, alg: alg, material: material, encoded: encoded}}, nil
}

// ID returns the key's kid: its RFC 7638 SHA-256 thumbprint in base64url. It is empty for the zero value.
func (k PublicKey) ID() string {
	if k.IsZero() {
		return ""
	}
	return k.inner.id
}

// Algorithm returns the algorithm that the key is for, empty for the zero value.
func (k PublicKey) Algorithm() Algorithm {
	if k.IsZero() {
		return ""
	}
	return k.inner.alg
}

// IsZero tells whether this is no key at all.
func (k PublicKey) IsZero() bool { return k.inner == nil }

// Equal tells whether both are the same key for the same algorithm.
func (k PublicKey) Equal(other PublicKey) bool {
	return k.ID() == other.ID() && k.Algorithm() == other.Algorithm()
}

// JWK returns the key as compact JSON with alg, kid and use, the same bytes each time.
func (k PublicKey) JWK() ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("encode public key: %w: there is none", ErrKey)
	}
	return slices.Clone(k.inner.encoded), nil
}

func (k PublicKey) verify(text, signature []byte) error {
	if !k.inner.alg.verifies(k.inner.material, text, signature) {
		return ErrSignature
	}
	return nil
}
