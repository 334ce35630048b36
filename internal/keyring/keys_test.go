package keyring_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
)

func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// pair is an Ed25519 key as this package stores it, made from a fixed seed without the packages under test.
type pair struct{ id, private, public string }

func fixedPair(seed byte) pair {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	d, x := b64(key.Seed()), b64(key[ed25519.SeedSize:])
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, x))
	p := pair{id: b64(sum[:])}
	p.private = fmt.Sprintf(`{"alg":"EdDSA","crv":"Ed25519","d":%q,"kid":%q,"kty":"OKP","use":"sig","x":%q}`, d, p.id, x)
	p.public = fmt.Sprintf(`{"alg":"EdDSA","crv":"Ed25519","kid":%q,"kty":"OKP","use":"sig","x":%q}`, p.id, x)
	return p
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// oneRSAKey serves every RSA algorithm, because making one takes long.
var oneRSAKey = sync.OnceValues(func() (map[string]string, error) {
	key, err := jose.GenerateKey(jose.RS256)
	if err != nil {
		return nil, err
	}
	jwk, err := key.JWK()
	if err != nil {
		return nil, err
	}
	members := map[string]string{}
	return members, json.Unmarshal(jwk, &members)
})

func newKey(t testing.TB, alg jose.Algorithm) jose.PrivateKey {
	t.Helper()
	if alg[0] == 'E' {
		return must(jose.GenerateKey(alg))(t)
	}
	members := must(oneRSAKey())(t)
	members["alg"] = string(alg)
	return must(jose.ParsePrivateKey(must(json.Marshal(members))(t)))(t)
}

// must fails the test on an error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// threeKeys is a keyring with a Pending, an Active and a Retired key, and everything that a ring remembers.
func threeKeys(t testing.TB, pending, active, retired jose.PrivateKey) keyring.Keyring {
	t.Helper()
	at := func(hours int) time.Time { return epoch().Add(time.Duration(hours) * time.Hour) }
	ring := rotation.Ring{
		Generation: 7,
		Keys: []rotation.Key{
			{ID: pending.ID(), Algorithm: string(pending.Algorithm()), State: rotation.Pending, CreatedAt: at(9), PublishedAt: at(10)},
			{
				ID: active.ID(), Algorithm: string(active.Algorithm()), State: rotation.Active, CreatedAt: at(3), PublishedAt: at(4), ActivatedAt: at(5),
				LongestToken: time.Hour, Margin: 7 * time.Minute, Superseded: true,
			},
			{
				ID: retired.ID(), Algorithm: string(retired.Algorithm()), State: rotation.Retired, CreatedAt: at(0), ActivatedAt: at(0), RetiredAt: at(5),
				LongestToken: 24 * time.Hour, Margin: 8 * time.Minute, Recovered: true,
			},
		},
		Denied: []rotation.Denial{
			{ID: "second", Algorithm: "ES256", CreatedAt: at(1), RevokedAt: at(2), Until: at(26)},
			{ID: "first", RevokedAt: at(1), Until: at(25)},
		},
		Lead: time.Hour + 3*time.Minute, CachesUntil: at(11), RotateRequest: `2026-01-02 <"please">`,
	}
	return with(t, keyring.Keyring{}, ring, jose.NewKeySet(retired.Public()), pending, active)
}

func with(t testing.TB, from keyring.Keyring, ring rotation.Ring, recovered jose.KeySet, minted ...jose.PrivateKey) keyring.Keyring {
	t.Helper()
	minter := &keyring.Minter{}
	minter.Add(minted...)
	return must(from.With(ring, minter, recovered))(t)
}

func encode(t testing.TB, k keyring.Keyring) map[string][]byte {
	t.Helper()
	return must(k.Encode())(t)
}

// privateMembers are the members of a JWK that only a private key has (RFC 7518 section 6).
func privateMembers() []string { return []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} }
