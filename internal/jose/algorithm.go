package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
)

// Algorithm is a signature algorithm by its name in RFC 7518 section 3.1 or RFC 8037 section 3.1.
type Algorithm string

// The algorithms of this package. EdDSA means Ed25519.
const (
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
	EdDSA Algorithm = "EdDSA"
)

// Algorithms returns every algorithm of this package, in the order in which documentation lists them.
func Algorithms() []Algorithm {
	return []Algorithm{ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA}
}

// ParseAlgorithm returns the algorithm of that name. Names are case-sensitive (RFC 7515 section 4.1.1).
// Any other name is [ErrAlgorithm].
func ParseAlgorithm(name string) (Algorithm, error) {
	if alg := Algorithm(name); slices.Contains(Algorithms(), alg) {
		return alg, nil
	}
	return "", fmt.Errorf("parse algorithm: %w: use one of %s", ErrAlgorithm, permitted())
}

func permitted() string {
	names := make([]string, 0, len(Algorithms()))
	for _, alg := range Algorithms() {
		names = append(names, string(alg))
	}
	return strings.Join(names, ", ")
}

// curve returns the elliptic curve that RFC 7518 section 3.4 ties to the algorithm, and nil when there is none.
func (a Algorithm) curve() elliptic.Curve {
	switch a {
	case ES256:
		return elliptic.P256()
	case ES384:
		return elliptic.P384()
	case ES512:
		return elliptic.P521()
	default:
		return nil
	}
}

// rsaBits returns the size of a generated RSA modulus, and 0 when the algorithm does not use RSA.
func (a Algorithm) rsaBits() int {
	switch a {
	case RS256, PS256:
		return 2048
	case RS384, PS384:
		return 3072
	case RS512, PS512:
		return 4096
	default:
		return 0
	}
}

// signatureBytes returns the size of a signature (RFC 7518 section 3, RFC 8037 section 3.1) with a key that [GenerateKey] makes.
func (a Algorithm) signatureBytes() int {
	if curve := a.curve(); curve != nil {
		return 2 * ((curve.Params().BitSize + 7) / 8)
	}
	if bits := a.rsaBits(); bits != 0 {
		return bits / 8
	}
	return ed25519.SignatureSize
}

func (a Algorithm) generate() (crypto.Signer, error) {
	if curve := a.curve(); curve != nil {
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
	if bits := a.rsaBits(); bits != 0 {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	if a == EdDSA {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("%w: use one of %s", ErrAlgorithm, permitted())
}
