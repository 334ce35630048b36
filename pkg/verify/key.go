package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"math/big"
)

const (
	minRSABits     = 2048 // RFC 7518 sections 3.3 and 3.5
	maxRSABits     = 8192 // as crypto/tls; the cost of a verification grows with the square
	minRSAExponent = 1<<16 + 1
	maxRSAExponent = 1<<31 - 1 // the largest that crypto/rsa takes
)

// key is a public key with the one algorithm it is for.
type key struct {
	id     string
	alg    Algorithm
	public crypto.PublicKey // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
}

// readKey reads a public JWK (RFC 7517 section 4). It returns false for one that this package cannot use: of another
// kind, use or algorithm, without kid, weak, or with a number in another than its canonical form.
func readKey(members map[string]json.RawMessage) (key, bool) {
	id, _ := readString(members["kid"])
	if use, present := members["use"]; id == "" || present && string(use) != `"sig"` {
		return key{}, false
	}
	public, implied := readMaterial(members)
	alg, ok := implied, public != nil
	if given, present := members["alg"]; present {
		name, _ := readString(given)
		alg = readAlgorithm(name)
		ok = ok && suits(alg, implied)
	}
	return key{id: id, alg: alg, public: public}, ok
}

// suits tells whether an algorithm is for keys of the kind that implies the other.
func suits(alg, implied Algorithm) bool {
	family := alg.family()
	return alg == implied || implied == RS256 && (family == "RS" || family == "PS")
}

// readMaterial returns the key that the members make up, or nil, and the algorithm that it is for unless it says another:
// the only one there is, or RS256.
func readMaterial(members map[string]json.RawMessage) (crypto.PublicKey, Algorithm) {
	kty, _ := readString(members["kty"])
	switch kty {
	case "EC":
		return readECDSA(members)
	case "RSA":
		return readRSA(members), RS256
	case "OKP":
		return readEd25519(members), EdDSA
	default:
		return nil, ""
	}
}

func readBytes(value json.RawMessage) []byte {
	text, _ := readString(value)
	decoded, ok := decodeBase64(text)
	if !ok {
		return nil
	}
	return decoded
}

func readECDSA(members map[string]json.RawMessage) (crypto.PublicKey, Algorithm) {
	name, _ := readString(members["crv"])
	curve, alg := curveOf(name)
	x, y := readBytes(members["x"]), readBytes(members["y"])
	if curve == nil || len(x) != coordinateBytes(curve) || len(y) != len(x) {
		return nil, ""
	}
	const uncompressed = 4 // SEC 1 section 2.3.3
	public, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{uncompressed}, x...), y...))
	if err != nil {
		return nil, ""
	}
	return public, alg
}

// curveOf returns a curve by its name in RFC 7518 section 6.2.1.1, and the algorithm that section 3.4 ties to it.
func curveOf(name string) (elliptic.Curve, Algorithm) {
	switch name {
	case "P-256":
		return elliptic.P256(), ES256
	case "P-384":
		return elliptic.P384(), ES384
	case "P-521":
		return elliptic.P521(), ES512
	default:
		return nil, ""
	}
}

func coordinateBytes(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

func readRSA(members map[string]json.RawMessage) crypto.PublicKey {
	modulus, exponent := readBytes(members["n"]), readBytes(members["e"])
	if len(modulus) == 0 || modulus[0] == 0 || len(exponent) == 0 || exponent[0] == 0 {
		return nil // RFC 7518 section 2 has one form for a number.
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if bits := n.BitLen(); bits < minRSABits || bits > maxRSABits || n.Bit(0) == 0 {
		return nil
	}
	if !e.IsInt64() || e.Bit(0) == 0 || e.Int64() < minRSAExponent || e.Int64() > maxRSAExponent {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

func readEd25519(members map[string]json.RawMessage) crypto.PublicKey {
	x := readBytes(members["x"])
	if crv, _ := readString(members["crv"]); crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil
	}
	return ed25519.PublicKey(x)
}
