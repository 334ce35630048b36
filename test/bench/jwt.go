package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/keyturn/keyturn/internal/jose"
)

// plainJWT signs and verifies in package crypto and encoding/json, and looks at nothing but the signature: the floor.
type plainJWT struct {
	alg     jose.Algorithm
	keyID   string
	private crypto.Signer
}

var errNotVerified = errors.New("the signature does not verify")

func newPlainJWT(key jose.PrivateKey) (plainJWT, error) {
	text, err := key.PEM()
	if err != nil {
		return plainJWT{}, err
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return plainJWT{}, fmt.Errorf("read key: %w", err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return plainJWT{}, fmt.Errorf("read key: %T does not sign", parsed)
	}
	return plainJWT{alg: key.Algorithm(), keyID: key.ID(), private: private}, nil
}

func (p plainJWT) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": string(p.alg), "kid": p.keyID, "typ": "at+jwt"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := p.signature(text)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

func (p plainJWT) signature(text string) ([]byte, error) {
	digest := sha256.Sum256([]byte(text))
	switch private := p.private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, err
		}
		const half = 32
		return append(r.FillBytes(make([]byte, half)), s.FillBytes(make([]byte, half))...), nil
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
	default:
		return p.private.Sign(rand.Reader, []byte(text), crypto.Hash(0))
	}
}

func (p plainJWT) verify(compact string) error {
	parts := strings.Split(compact, ".")
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return err
		}
	}
	var header, claims map[string]any
	if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &claims)); err != nil {
		return err
	}
	if !p.verifies(compact[:strings.LastIndexByte(compact, '.')], decoded[2]) {
		return errNotVerified
	}
	return nil
}

func (p plainJWT) verifies(text string, signature []byte) bool {
	digest := sha256.Sum256([]byte(text))
	switch public := p.private.Public().(type) {
	case *ecdsa.PublicKey:
		half := len(signature) / 2 //nolint:mnd // R and S.
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		return ecdsa.Verify(public, digest[:], r, s)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, []byte(text), signature)
	default:
		return false
	}
}

// signing measures Keyturn's own packages against that, on one core.
func signing(ctx context.Context, w *World) ([]Row, error) {
	var rows []Row
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		more, err := w.signingWith(ctx, alg)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
