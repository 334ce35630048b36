package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384 and crypto.SHA512
	"math/big"
	"slices"
)

// Algorithm is a signature algorithm by its name in RFC 7518 section 3.1 or RFC 8037 section 3.1.
type Algorithm string

// The algorithms of this package. EdDSA means Ed25519, also where a token or a key calls it that (RFC 9864). There is no none, and nothing symmetric: neither can be switched on.
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

// Algorithms returns every algorithm of this package.
func Algorithms() []Algorithm {
	return []Algorithm{ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA}
}

// readAlgorithm knows an algorithm by either of its names.
func readAlgorithm(name string) Algorithm {
	if name == "Ed25519" { // RFC 9864 section 2.2
		return EdDSA
	}
	return Algorithm(name)
}

// family is what an algorithm does with a key, "ES", "RS", "PS" or "Ed"; empty for a name that is not known.
func (a Algorithm) family() string {
	if !slices.Contains(Algorithms(), a) {
		return ""
	}
	return string(a[:2])
}

func (a Algorithm) hash() crypto.Hash {
	switch a {
	case ES256, RS256, PS256:
		return crypto.SHA256
	case ES384, RS384, PS384:
		return crypto.SHA384
	default:
		return crypto.SHA512
	}
}

// verifies tells whether the signature is the key's over the text (RFC 7518 section 3, RFC 8037 section 3.1). The key was
// read for the algorithm; with another one nothing verifies.
func (a Algorithm) verifies(public crypto.PublicKey, text, signature []byte) bool {
	if public, ok := public.(ed25519.PublicKey); ok {
		return a == EdDSA && ed25519.Verify(public, text, signature)
	}
	hash := a.hash()
	hasher := hash.New()
	hasher.Write(text)
	digest := hasher.Sum(nil)
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return a.family() == "ES" && verifiesECDSA(public, digest, signature)
	case *rsa.PublicKey:
		return a.verifiesRSA(public, hash, digest, signature)
	default:
		return false
	}
}

// verifiesECDSA takes R and S in full length only (RFC 7518 section 3.4).
func verifiesECDSA(public *ecdsa.PublicKey, digest, signature []byte) bool {
	size := coordinateBytes(public.Curve)
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(public, digest, r, s)
}

// verifiesRSA takes a salt as long as the hash only (RFC 7518 section 3.5).
func (a Algorithm) verifiesRSA(public *rsa.PublicKey, hash crypto.Hash, digest, signature []byte) bool {
	switch a.family() {
	case "RS":
		return rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
	case "PS":
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(public, hash, digest, signature, options) == nil
	default:
		return false
	}
}
