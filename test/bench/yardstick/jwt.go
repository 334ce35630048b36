package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// coordinate is the length of a coordinate of P-256, and of either half of a signature with ES256.
const coordinate = 32

// firstKey reads the first key of a JWK Set.
func firstKey(set []byte) (*ecdsa.PublicKey, error) {
	var read struct {
		Keys []struct {
			X string `json:"x"`
			Y string `json:"y"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(set, &read); err != nil || len(read.Keys) == 0 {
		return nil, errNoKey
	}
	x, errX := base64.RawURLEncoding.DecodeString(read.Keys[0].X)
	y, errY := base64.RawURLEncoding.DecodeString(read.Keys[0].Y)
	if errX != nil || errY != nil || len(x) != coordinate || len(y) != coordinate {
		return nil, errNoKey
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKey, err)
	}
	return public, nil
}

// verifies is a JWT in package crypto and encoding/json: the signature and exp are looked at, and nothing else.
type verifies struct {
	public *ecdsa.PublicKey
	clock  clock.PassiveClock
}

func (v verifies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !v.accepts(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), v.clock.Now()) {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (v verifies) accepts(compact string, now time.Time) bool {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 2*coordinate {
		return false
	}
	digest := sha256.Sum256([]byte(compact[:len(parts[0])+1+len(parts[1])]))
	r, s := new(big.Int).SetBytes(signature[:coordinate]), new(big.Int).SetBytes(signature[coordinate:])
	if !ecdsa.Verify(v.public, digest[:], r, s) {
		return false
	}
	var header, claims map[string]any
	if read(parts[0], &header) != nil || read(parts[1], &claims) != nil || header["alg"] != "ES256" {
		return false
	}
	expiry, _ := claims["exp"].(float64)
	return now.Before(time.Unix(int64(expiry), 0))
}

func read(part string, into any) error {
	decoded, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(decoded, into)
}

// signs answers each request with an access token (RFC 9068), signed in package crypto. It does not look at the request.
type signs struct {
	private *ecdsa.PrivateKey
	clock   clock.PassiveClock
}

func (s signs) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	compact, err := s.sign(s.clock.Now())
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	answer(w, map[string]any{"access_token": compact, "token_type": "Bearer", "expires_in": 3600})
}

func (s signs) sign(now time.Time) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "ES256", "kid": "0123456789012345678901234567890123456789012", "typ": "at+jwt"})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": "https://127.0.0.1:8443/bench/shop", "sub": "system:tokenclient:bench:cart", "client_id": "bench.cart",
		"aud": "https://api.example", "scope": "orders:read", "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(text))
	r, t, err := ecdsa.Sign(rand.Reader, s.private, digest[:])
	if err != nil {
		return "", err
	}
	signature := append(r.FillBytes(make([]byte, coordinate)), t.FillBytes(make([]byte, coordinate))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
