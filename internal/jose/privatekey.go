package jose

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// PrivateKey is a key that signs, with the one algorithm it is for. It never shows itself in print, logs or JSON; only
// [PrivateKey.JWK] and [PrivateKey.PEM] encode it. The zero value is no key.
type PrivateKey struct{ inner **privateKey } // why two pointers: see redact.go

type privateKey struct {
	material crypto.Signer // *ecdsa.PrivateKey, *rsa.PrivateKey or ed25519.PrivateKey
	public   PublicKey
}

// GenerateKey makes a new key. RSA keys have 2048 bits for RS256 and PS256, 3072 for RS384 and PS384 and 4096 for RS512
// and PS512; larger ones take seconds to make.
func GenerateKey(alg Algorithm) (PrivateKey, error) {
	material, err := alg.generate()
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate key: %w", err)
	}
	key, err := newPrivateKey(alg, material)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

// ParsePrivateKey reads one private JWK (RFC 7517 section 4) of at most [MaxKeyBytes] bytes, as [PrivateKey.JWK] writes
// it. The key must carry its alg and, as kid, its thumbprint; use, when present, must be sig. All members of RFC 7518
// section 6 must be there and belong together, and RSA keys need 2048 to 8192 bits. Other members are ignored.
func ParsePrivateKey(data []byte) (PrivateKey, error) {
	key, err := parsePrivateKey(data)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("parse private key: %w", err)
	}
	return key, nil
}

func parsePrivateKey(data []byte) (PrivateKey, error) {
	given, err := readJWK(data)
	if err != nil {
		return PrivateKey{}, err
	}
	if err := given.refuse("k", "oth"); err != nil {
		return PrivateKey{}, err
	}
	material, err := privateMaterial(given.alg, given.key)
	if err != nil {
		return PrivateKey{}, err
	}
	key, err := newPrivateKey(given.alg, material)
	if err != nil {
		return PrivateKey{}, err
	}
	canonical, err := key.JWK()
	if err != nil {
		return PrivateKey{}, err
	}
	if err := given.mustMatch(canonical); err != nil {
		return PrivateKey{}, err
	}
	return key, nil
}

func newPrivateKey(alg Algorithm, material crypto.Signer) (PrivateKey, error) {
	public, err := newPublicKey(alg, material.Public())
	if err != nil {
		return PrivateKey{}, err
	}
	inner := &privateKey{material: material, public: public}
	return PrivateKey{&inner}, nil
}

// ID returns the key's kid: its RFC 7638 SHA-256 thumbprint in base64url. It is empty for the zero value.
func (k PrivateKey) ID() string { return k.Public().ID() }

// Algorithm returns the algorithm that the key is for, empty for the zero value.
func (k PrivateKey) Algorithm() Algorithm { return k.Public().Algorithm() }

// Public returns the public half.
func (k PrivateKey) Public() PublicKey {
	if k.IsZero() {
		return PublicKey{}
	}
	return (*k.inner).public
}

// IsZero tells whether this is no key at all.
func (k PrivateKey) IsZero() bool { return k.inner == nil }

// Equal tells whether both are the same key for the same algorithm: the thumbprint fixes the public half, and every
// PrivateKey was checked against its own.
func (k PrivateKey) Equal(other PrivateKey) bool { return k.Public().Equal(other.Public()) }

// JWK returns the private key as compact JSON with alg, kid and use, the same bytes each time.
// The caller keeps the result out of logs and errors.
func (k PrivateKey) JWK() ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("encode private key: %w: there is none", ErrKey)
	}
	return encodeJWK((*k.inner).material, k.Algorithm())
}

// PEM returns the private key as PKCS #8 (RFC 5958) in a PEM block of type PRIVATE KEY.
// The caller keeps the result out of logs and errors.
func (k PrivateKey) PEM() ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("encode private key: %w: there is none", ErrKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey((*k.inner).material)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w: no PKCS #8 form", ErrKey)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (k PrivateKey) sign(text []byte) ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("%w: there is none", ErrKey)
	}
	signature, err := k.Algorithm().signs((*k.inner).material, text)
	if err != nil {
		return nil, fmt.Errorf("%w: signing failed", ErrKey)
	}
	return signature, nil
}
