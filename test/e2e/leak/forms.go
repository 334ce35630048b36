package leak

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
)

// forms are how programs write bytes: base64 in both alphabets wherever the bytes begin in what is encoded, hexadecimal digits, and
// lists of numbers.
func forms(secret []byte) []string {
	digits, listed := hex.EncodeToString(secret), strings.Trim(fmt.Sprintf("%d", secret), "[]")
	found := []string{digits, strings.ToUpper(digits), listed, strings.ReplaceAll(listed, " ", ","), strings.ReplaceAll(listed, " ", ", ")}
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		// Only digits that hold nothing of what stands before and behind.
		from, to := (8*before+5)/6, 8*len(padded)/6
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			found = append(found, alphabet.EncodeToString(padded)[from:to])
		}
	}
	return found
}

// decimal is how a number is printed.
func decimal(secret []byte) string { return new(big.Int).SetBytes(secret).String() }

// numbers are what is private in a key of PEM, as numbers; nothing for what holds none, or cannot be read.
func numbers(block *pem.Block) [][]byte {
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil
	}
	switch private := private.(type) {
	case *ecdsa.PrivateKey:
		if number, err := private.Bytes(); err == nil {
			return [][]byte{number}
		}
	case *rsa.PrivateKey:
		found := [][]byte{private.D.Bytes()}
		for _, prime := range private.Primes {
			found = append(found, prime.Bytes())
		}
		return found
	case ed25519.PrivateKey:
		return [][]byte{private.Seed()}
	}
	return nil
}
