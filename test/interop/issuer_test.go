package interop_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
)

const (
	issuerName = "https://issuer.example"
	audience   = "https://api.example"
)

// beginnings are rings with one key each, which signs since that instant. RSA keys take long to make, so they are made once.
type beginnings struct {
	at    time.Time
	rings map[jose.Algorithm]keyring.Keyring
}

var begun = sync.OnceValues(func() (beginnings, error) {
	b := beginnings{
		at:    clock.RealClock{}.Now().Truncate(time.Second).Add(-2 * time.Hour),
		rings: map[jose.Algorithm]keyring.Keyring{},
	}
	for _, algorithm := range jose.Algorithms() {
		ring, err := advance(keyring.Keyring{}, policy(algorithm), nil, b.at)
		if err != nil {
			return b, err
		}
		b.rings[algorithm] = ring
	}
	return b, nil
})

func policy(algorithm jose.Algorithm) rotation.Policy {
	return rotation.Policy{
		Algorithm: string(algorithm), Period: 720 * time.Hour, VerifierCache: time.Hour,
		Propagation: 2 * time.Minute, Skew: time.Minute, LongestToken: 24 * time.Hour,
	}
}

// advance lets time pass as the operator does, and stores the ring and reads it back.
func advance(ring keyring.Keyring, policy rotation.Policy, seen rotation.Observation, now time.Time) (keyring.Keyring, error) {
	minter := &keyring.Minter{}
	outcome, err := ring.Ring().Advance(policy, seen, now, minter.Mint)
	if err != nil {
		return ring, err
	}
	if ring, err = ring.With(outcome.Ring, minter, jose.KeySet{}); err != nil {
		return ring, err
	}
	stored, err := ring.Encode()
	if err != nil {
		return ring, err
	}
	return keyring.Decode(stored)
}

// issuer rotates a ring and signs as the operator does, without a cluster.
type issuer struct {
	t      *testing.T
	start  time.Time
	policy rotation.Policy
	ring   keyring.Keyring
}

// newIssuer has one key, which signs since two hours ago.
func newIssuer(t *testing.T, algorithm jose.Algorithm) *issuer {
	t.Helper()
	b, err := begun()
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t: t, start: b.at, policy: policy(algorithm), ring: b.rings[algorithm]}
}

func (i *issuer) advance(now time.Time, seen rotation.Observation) {
	i.t.Helper()
	ring, err := advance(i.ring, i.policy, seen, now)
	if err != nil {
		i.t.Fatal(err)
	}
	i.ring = ring
}

// stored is an entry of the ring Secret.
func (i *issuer) stored(entry string) string {
	i.t.Helper()
	data, err := i.ring.Encode()
	if err != nil {
		i.t.Fatal(err)
	}
	return string(data[entry])
}

// changeAlgorithm lets a key of another algorithm take over, a lead after its publication at that instant.
func (i *issuer) changeAlgorithm(algorithm jose.Algorithm, published time.Time) {
	i.t.Helper()
	i.policy.Algorithm = string(algorithm)
	i.advance(published, nil)
	i.advance(published, rotation.Observation{i.ring.IDs()[0]: rotation.Everywhere})
	i.advance(published.Add(i.policy.Lead()), nil)
}

func (i *issuer) revoke(keyID string, now time.Time) {
	i.t.Helper()
	i.policy.Revoked = append(i.policy.Revoked, keyID)
	i.advance(now, nil)
}

// jwks is what the ConfigMap holds.
func (i *issuer) jwks() string { return i.stored(keyring.EntryJWKS) }

func (i *issuer) activeKeyID() string { return i.stored(keyring.EntryKeyID) }

// request is what a ServiceToken with claims in several scripts and of several kinds asks for.
func (i *issuer) request(life time.Duration, typ string) token.Request {
	return token.Request{
		Issuer: issuerName, Subject: "system:serviceaccount:shop:checkout", Type: typ,
		Audiences: []string{audience, "https://other.example"}, Duration: life, Skew: i.policy.Skew,
		Claims: map[string]any{
			"scope": "orders:read", "tenant": map[string]any{"name": "Größe <東京> & 🗝"},
			"limit": json.Number("9007199254740991"), "ratio": json.Number("0.5"), "flags": []any{true, nil},
		},
	}
}

// issue signs a token and returns the task to verify it with the keys that are published now.
func (i *issuer) issue(request token.Request, now time.Time) task {
	i.t.Helper()
	terms, err := token.Lawful(request, token.Keys{Ring: i.ring.Ring()}, now)
	if err != nil {
		i.t.Fatal(err)
	}
	payload, err := token.Encode(request.Payload("3f8e0a52-7b7e-4f3c-9d55-0a4be0b6c9a1", terms.IssuedAt))
	if err != nil {
		i.t.Fatal(err)
	}
	signer, _ := i.ring.Signer()
	compact, err := jose.Sign(signer, request.Type, payload)
	if err != nil {
		i.t.Fatal(err)
	}
	return task{
		Token: compact.Reveal(), JWKS: i.jwks(), Issuer: issuerName, Audience: audience,
		Type: request.Type, Algorithm: string(signer.Algorithm()),
	}
}
