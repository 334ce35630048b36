package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384 and crypto.SHA512
	"errors"
	"math/big"
)

// Signatures are made and judged by package crypto itself. It prepares a key once and finds it again by its address, which the JOSE
// library, copying the key for each signature, does not let it do.

var errNoSigner = errors.New("no key that signs")

// signs makes a signature over a text (RFC 7518 section 3, RFC 8037 section 3.1). The key was made for the algorithm.
func (a Algorithm) signs(private crypto.Signer, text []byte) ([]byte, error) {
	switch private := private.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(private, text), nil
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, a.digest(text))
		if err != nil {
			return nil, err
		}
		half := a.signatureBytes() / 2
		signature := make([]byte, 2*half)
		r.FillBytes(signature[:half])
		s.FillBytes(signature[half:])
		return signature, nil
	case *rsa.PrivateKey:
		if a.isPSS() {
			return rsa.SignPSS(rand.Reader, private, a.hash(), a.digest(text), saltAsLongAsHash())
		}
		return rsa.SignPKCS1v15(rand.Reader, private, a.hash(), a.digest(text))
	default:
		return nil, errNoSigner
	}
}

// verifies tells whether a signature is the key's over a text. With a key of another kind than the algorithm's nothing verifies.
func (a Algorithm) verifies(public crypto.PublicKey, text, signature []byte) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return a == EdDSA && ed25519.Verify(public, text, signature)
	case *ecdsa.PublicKey:
		half := a.signatureBytes() / 2
		if public.Curve != a.curve() || len(signature) != 2*half { // RFC 7518 section 3.4: R and S in full length.
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		return ecdsa.Verify(public, a.digest(text), r, s)
	case *rsa.PublicKey:
		if a.isPSS() {
			return rsa.VerifyPSS(public, a.hash(), a.digest(text), signature, saltAsLongAsHash()) == nil
		}
		return a.rsaBits() != 0 && rsa.VerifyPKCS1v15(public, a.hash(), a.digest(text), signature) == nil
	default:
		return false
	}
}

// saltAsLongAsHash is the only salt of RFC 7518 section 3.5.
func saltAsLongAsHash() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
}

// hash returns the hash of an algorithm that signs a digest. Ed25519 signs the text.
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

func (a Algorithm) digest(text []byte) []byte {
	hasher := a.hash().New()
	hasher.Write(text)
	return hasher.Sum(nil)
}

func (a Algorithm) isPSS() bool { return a == PS256 || a == PS384 || a == PS512 }
