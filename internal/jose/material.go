package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// The JOSE library fills crypto keys with whatever numbers a JWK gives. Here they pass through the constructors of
// package crypto, which check them, and a private key derives its public half instead of believing the given one.

const (
	minRSABits     = 2048 // RFC 7518 sections 3.3 and 3.5
	maxRSABits     = 8192 // as crypto/tls; the cost of a verification grows with the square
	minRSAExponent = 1<<16 + 1
	maxRSAExponent = 1<<31 - 1 // the largest that crypto/rsa takes
)

// privateMaterial returns the crypto key that a private JWK means.
func privateMaterial(alg Algorithm, key jwk.Key) (crypto.Signer, error) {
	switch key := key.(type) {
	case jwk.ECDSAPrivateKey:
		return ecdsaPrivate(alg, key)
	case jwk.RSAPrivateKey:
		return rsaPrivate(alg, key)
	case jwk.OKPPrivateKey:
		return ed25519Private(alg, key)
	default:
		return nil, fmt.Errorf("%w: not a private key", ErrKey)
	}
}

// publicMaterial returns the crypto key that a public JWK means.
func publicMaterial(alg Algorithm, key jwk.Key) (crypto.PublicKey, error) {
	switch key := key.(type) {
	case jwk.ECDSAPublicKey:
		return ecdsaPublic(alg, key)
	case jwk.RSAPublicKey:
		return rsaPublic(alg, key.N(), key.E())
	case jwk.OKPPublicKey:
		return ed25519Public(alg, key)
	default:
		return nil, fmt.Errorf("%w: not a public key", ErrKey)
	}
}

func ecdsaPrivate(alg Algorithm, key jwk.ECDSAPrivateKey) (*ecdsa.PrivateKey, error) {
	if err := mustBeOn(alg, key.Crv()); err != nil {
		return nil, err
	}
	private, err := ecdsa.ParseRawPrivateKey(alg.curve(), key.D())
	if err != nil {
		return nil, fmt.Errorf("%w: member d is not a private key of the curve", ErrKey)
	}
	return private, nil
}

func ecdsaPublic(alg Algorithm, key jwk.ECDSAPublicKey) (*ecdsa.PublicKey, error) {
	if err := mustBeOn(alg, key.Crv()); err != nil {
		return nil, err
	}
	const uncompressed = 4 // SEC 1 section 2.3.3
	point := append([]byte{uncompressed}, key.X()...)
	public, err := ecdsa.ParseUncompressedPublicKey(alg.curve(), append(point, key.Y()...))
	if err != nil {
		return nil, fmt.Errorf("%w: members x and y are not a point of the curve", ErrKey)
	}
	return public, nil
}

func mustBeOn(alg Algorithm, name jwa.EllipticCurveAlgorithm) error {
	if curve := alg.curve(); curve == nil || curve.Params().Name != string(name) {
		return fmt.Errorf("%w: the key's curve is not the one of %s", ErrAlgorithm, alg)
	}
	return nil
}

func ed25519Private(alg Algorithm, key jwk.OKPPrivateKey) (ed25519.PrivateKey, error) {
	if alg != EdDSA || key.Crv() != jwa.Ed25519 {
		return nil, fmt.Errorf("%w: the key is not one of %s", ErrAlgorithm, alg)
	}
	if len(key.D()) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: member d does not have %d bytes", ErrKey, ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(key.D()), nil
}

func ed25519Public(alg Algorithm, key jwk.OKPPublicKey) (ed25519.PublicKey, error) {
	if alg != EdDSA || key.Crv() != jwa.Ed25519 {
		return nil, fmt.Errorf("%w: the key is not one of %s", ErrAlgorithm, alg)
	}
	if len(key.X()) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: member x does not have %d bytes", ErrKey, ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(key.X()), nil
}

func rsaPrivate(alg Algorithm, key jwk.RSAPrivateKey) (*rsa.PrivateKey, error) {
	public, err := rsaPublic(alg, key.N(), key.E())
	if err != nil {
		return nil, err
	}
	private := &rsa.PrivateKey{
		PublicKey: *public,
		D:         new(big.Int).SetBytes(key.D()),
		Primes:    []*big.Int{new(big.Int).SetBytes(key.P()), new(big.Int).SetBytes(key.Q())},
	}
	private.Precompute() // before Validate, which keeps nothing of the same work
	if err := private.Validate(); err != nil {
		return nil, fmt.Errorf("%w: members d, p and q do not belong to n and e", ErrKey)
	}
	return private, nil
}

func rsaPublic(alg Algorithm, modulus, exponent []byte) (*rsa.PublicKey, error) {
	if alg.rsaBits() == 0 {
		return nil, fmt.Errorf("%w: the key is not one of %s", ErrAlgorithm, alg)
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if bits := n.BitLen(); bits < minRSABits || bits > maxRSABits {
		return nil, fmt.Errorf("%w: member n has %d bits, not %d to %d", ErrKey, bits, minRSABits, maxRSABits)
	}
	if n.Bit(0) == 0 {
		return nil, fmt.Errorf("%w: member n is even", ErrKey)
	}
	if !e.IsInt64() || e.Bit(0) == 0 || e.Int64() < minRSAExponent || e.Int64() > maxRSAExponent {
		return nil, fmt.Errorf("%w: member e is not odd, or not %d to %d", ErrKey, minRSAExponent, maxRSAExponent)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}
