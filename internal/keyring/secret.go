package keyring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
)

// The entries of a ring Secret.
const (
	// EntryRing is the private JWK Set and its instants: the truth.
	EntryRing = "ring.json"
	// EntryPEM is the Active key's private half as PKCS#8 in PEM, for an application that signs for itself.
	EntryPEM = "signing-key.pem"
	// EntryJWK is the Active key's private half as a JWK.
	EntryJWK = "signing-key.jwk"
	// EntryKeyID is the Active key's ID, which such an application puts into the "kid" header.
	EntryKeyID = "key-id"
	// EntryJWKS is the public JWK Set.
	EntryJWKS = "jwks.json"
)

// maxRingBytes bounds ring.json: ten RSA keys and a full deny list are below a tenth of it.
const maxRingBytes = 512 << 10

// document is ring.json.
type document struct {
	Keys          []json.RawMessage `json:"keys"`
	States        []keyState        `json:"states"`
	Denied        []denial          `json:"denied,omitempty"`
	Generation    int64             `json:"generation"`
	Lead          seconds           `json:"leadSeconds"`
	CachesUntil   instant           `json:"cachesUntil,omitzero"`
	RotateRequest string            `json:"rotateRequest,omitempty"`
}

type keyState struct {
	ID           string         `json:"kid"`
	State        rotation.State `json:"state"`
	CreatedAt    instant        `json:"createdAt"`
	PublishedAt  instant        `json:"publishedAt,omitzero"`
	ActivatedAt  instant        `json:"activatedAt,omitzero"`
	RetiredAt    instant        `json:"retiredAt,omitzero"`
	LongestToken seconds        `json:"longestTokenSeconds,omitempty"`
	Margin       seconds        `json:"marginSeconds,omitempty"`
	Superseded   bool           `json:"superseded,omitempty"`
	Recovered    bool           `json:"recovered,omitempty"`
}

type denial struct {
	ID        string  `json:"kid"`
	Algorithm string  `json:"alg,omitempty"`
	CreatedAt instant `json:"createdAt,omitzero"`
	RevokedAt instant `json:"revokedAt"`
	Until     instant `json:"until"`
}

// Encode renders the data of the ring Secret.
func (k Keyring) Encode() (map[string][]byte, error) {
	ring, err := k.encodeRing()
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{EntryRing: ring}
	signer, ok := k.Signer()
	if !ok {
		return nil, fmt.Errorf("encode ring: no key signs")
	}
	data[EntryKeyID] = []byte(signer.ID())
	if data[EntryJWK], err = signer.JWK(); err != nil {
		return nil, fmt.Errorf("encode active key: %w", err)
	}
	if data[EntryPEM], err = signer.PEM(); err != nil {
		return nil, fmt.Errorf("encode active key: %w", err)
	}
	if data[EntryJWKS], err = k.Public().JSON(); err != nil {
		return nil, fmt.Errorf("encode public set: %w", err)
	}
	return data, nil
}

func (k Keyring) encodeRing() ([]byte, error) {
	doc := document{
		Generation: k.ring.Generation, Lead: toSeconds(k.ring.Lead),
		CachesUntil: instant(k.ring.CachesUntil), RotateRequest: k.ring.RotateRequest,
	}
	for _, key := range k.ring.Keys {
		jwk, err := k.encodeKey(key.ID)
		if err != nil {
			return nil, fmt.Errorf("encode key %s: %w", key.ID, err)
		}
		doc.Keys = append(doc.Keys, jwk)
		doc.States = append(doc.States, keyState{
			ID: key.ID, State: key.State,
			CreatedAt: instant(key.CreatedAt), PublishedAt: instant(key.PublishedAt),
			ActivatedAt: instant(key.ActivatedAt), RetiredAt: instant(key.RetiredAt),
			LongestToken: toSeconds(key.LongestToken), Margin: toSeconds(key.Margin),
			Superseded: key.Superseded, Recovered: key.Recovered,
		})
	}
	for _, d := range k.ring.Denied {
		doc.Denied = append(doc.Denied, denial{
			ID: d.ID, Algorithm: d.Algorithm,
			CreatedAt: instant(d.CreatedAt), RevokedAt: instant(d.RevokedAt), Until: instant(d.Until),
		})
	}
	return json.Marshal(doc)
}

func (k Keyring) encodeKey(id string) (json.RawMessage, error) {
	if private, ok := k.private[id]; ok {
		return private.JWK()
	}
	return k.public[id].JWK()
}

// Decode reads the data of a ring Secret. Everything but ring.json is ignored. It fails with ErrCorrupt, and tells in its
// message nothing of what it read but the IDs of keys.
func Decode(data map[string][]byte) (Keyring, error) {
	raw := data[EntryRing]
	if len(raw) == 0 || len(raw) > maxRingBytes {
		return Keyring{}, fmt.Errorf("%w: %s has %d bytes, want 1 to %d", ErrCorrupt, EntryRing, len(raw), maxRingBytes)
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		// The cause could quote what was read.
		return Keyring{}, fmt.Errorf("%w: %s is not the JSON of a ring", ErrCorrupt, EntryRing)
	}
	if len(doc.Keys) != len(doc.States) {
		return Keyring{}, fmt.Errorf("%w: %d keys have %d states", ErrCorrupt, len(doc.Keys), len(doc.States))
	}
	k := Keyring{
		ring: rotation.Ring{
			Generation: doc.Generation, Lead: doc.Lead.duration(),
			CachesUntil: time.Time(doc.CachesUntil), RotateRequest: doc.RotateRequest,
		},
		private: map[string]jose.PrivateKey{},
		public:  map[string]jose.PublicKey{},
	}
	for i, state := range doc.States {
		if err := decodeKey(&k, state, doc.Keys[i]); err != nil {
			return Keyring{}, fmt.Errorf("%w: key %d: %w", ErrCorrupt, i, err)
		}
	}
	for _, d := range doc.Denied {
		k.ring.Denied = append(k.ring.Denied, rotation.Denial{
			ID: d.ID, Algorithm: d.Algorithm,
			CreatedAt: time.Time(d.CreatedAt), RevokedAt: time.Time(d.RevokedAt), Until: time.Time(d.Until),
		})
	}
	if err := k.ring.Check(); err != nil {
		return Keyring{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return k, nil
}

func decodeKey(k *Keyring, s keyState, jwk []byte) error {
	key := rotation.Key{
		ID: s.ID, State: s.State,
		CreatedAt: time.Time(s.CreatedAt), PublishedAt: time.Time(s.PublishedAt),
		ActivatedAt: time.Time(s.ActivatedAt), RetiredAt: time.Time(s.RetiredAt),
		LongestToken: s.LongestToken.duration(), Margin: s.Margin.duration(),
		Superseded: s.Superseded, Recovered: s.Recovered,
	}
	public, err := decodeMaterial(k, key, jwk)
	if err != nil {
		return err
	}
	if public.ID() != s.ID {
		return fmt.Errorf("state and key have different IDs")
	}
	key.Algorithm = string(public.Algorithm())
	k.public[s.ID] = public
	k.ring.Keys = append(k.ring.Keys, key)
	return nil
}

// decodeMaterial reads the half of a key that its state asks for, and refuses the other.
func decodeMaterial(k *Keyring, key rotation.Key, jwk []byte) (jose.PublicKey, error) {
	switch key.State {
	case rotation.Pending, rotation.Active:
		private, err := jose.ParsePrivateKey(jwk)
		if err != nil {
			return jose.PublicKey{}, fmt.Errorf("read private half: %w", err)
		}
		k.private[private.ID()] = private
		return private.Public(), nil
	case rotation.Retired:
		public, err := jose.ParsePublicKey(jwk)
		if err != nil {
			return jose.PublicKey{}, fmt.Errorf("read public half: %w", err)
		}
		return public, nil
	default:
		return jose.PublicKey{}, fmt.Errorf("state is none of %s, %s, %s", rotation.Pending, rotation.Active, rotation.Retired)
	}
}

// Derived says whether every entry of a Secret is what its ring.json makes of it.
func (k Keyring) Derived(data map[string][]byte) bool {
	want, err := k.Encode()
	return err == nil && maps.EqualFunc(data, want, bytes.Equal)
}

// IDs are the IDs of the keys that are published, newest first.
func (k Keyring) IDs() []string {
	ids := make([]string, 0, len(k.ring.Keys))
	for _, key := range k.ring.Keys {
		ids = append(ids, key.ID)
	}
	return slices.Clip(ids)
}

// instant is a time in whole seconds, UTC, as RFC 3339; only that one form is read.
type instant time.Time

func (t instant) IsZero() bool { return time.Time(t).IsZero() }

func (t instant) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(time.RFC3339)), nil
}

func (t *instant) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return err
	}
	if parsed.UTC().Format(time.RFC3339) != string(text) {
		return fmt.Errorf("not whole seconds in UTC")
	}
	*t = instant(parsed.UTC())
	return nil
}

// seconds is a duration in whole seconds.
type seconds int64

// maxSeconds is a century: far more than the API allows, and sums of such durations are far from an overflow.
const maxSeconds = 100 * 365 * 24 * 60 * 60

func (s *seconds) UnmarshalJSON(text []byte) error {
	read, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return err
	}
	if read < 0 || read > maxSeconds {
		return fmt.Errorf("not between 0 and %d seconds", maxSeconds)
	}
	*s = seconds(read)
	return nil
}

func toSeconds(d time.Duration) seconds { return seconds(d / time.Second) }

func (s seconds) duration() time.Duration { return time.Duration(s) * time.Second }
