package keyring_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
)

// plain is a ring that cmp compares whole: the Equal of a Ring leaves its Generation out.
type plain rotation.Ring

func members(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var read map[string]any
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// eachAlgorithmInEachState calls a test with a keyring in which a key of every algorithm stands in every state.
func eachAlgorithmInEachState(t *testing.T, test func(t *testing.T, k keyring.Keyring)) {
	t.Helper()
	for _, alg := range jose.Algorithms() {
		for i, state := range []rotation.State{rotation.Pending, rotation.Active, rotation.Retired} {
			t.Run(fmt.Sprintf("%s/%s", alg, state), func(t *testing.T) {
				keys := []jose.PrivateKey{newKey(t, jose.EdDSA), newKey(t, jose.EdDSA), newKey(t, jose.EdDSA)}
				keys[i] = newKey(t, alg)
				test(t, threeKeys(t, keys[0], keys[1], keys[2]))
			})
		}
	}
}

func TestARingSurvivesItsSecret(t *testing.T) {
	eachAlgorithmInEachState(t, func(t *testing.T, k keyring.Keyring) {
		data := encode(t, k)
		back := must(keyring.Decode(map[string][]byte{keyring.EntryRing: data[keyring.EntryRing]}))(t)
		if diff := cmp.Diff(plain(k.Ring()), plain(back.Ring())); diff != "" {
			t.Errorf("ring (-written +read):\n%s", diff)
		}
		if diff := cmp.Diff(data, encode(t, back)); diff != "" {
			t.Errorf("data (-written +written again):\n%s", diff)
		}
		signer, _ := k.Signer()
		if again, ok := back.Signer(); !ok || !again.Equal(signer) {
			t.Errorf("the signer is %s, was %s", again, signer)
		}
	})
}

func TestPrivateHalvesAreStoredExactlyForKeysThatSign(t *testing.T) {
	eachAlgorithmInEachState(t, func(t *testing.T, k keyring.Keyring) {
		doc := members(t, encode(t, k)[keyring.EntryRing])
		for i, key := range k.Ring().Keys {
			jwk := doc["keys"].([]any)[i].(map[string]any)
			if jwk["kid"] != key.ID {
				t.Fatalf("key %d is %v, want %s", i, jwk["kid"], key.ID)
			}
			_, has := jwk["d"]
			if signs := key.State != rotation.Retired; has != signs {
				t.Errorf("a %s %s key is stored with its private half: %t", key.State, key.Algorithm, has)
			}
			if key.State == rotation.Retired {
				mustBePublic(t, jwk)
			}
		}
	})
}

func mustBePublic(t *testing.T, jwk map[string]any) {
	t.Helper()
	for _, name := range privateMembers() {
		if _, has := jwk[name]; has {
			t.Errorf("a public key has the member %s", name)
		}
	}
}

// TestDerivedEntriesAreTheActiveKey reads the entries as an application does, without the packages under test.
func TestDerivedEntriesAreTheActiveKey(t *testing.T) {
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			active := newKey(t, alg)
			k := threeKeys(t, newKey(t, jose.EdDSA), active, newKey(t, jose.ES256))
			data := encode(t, k)
			want := []string{"jwks.json", "key-id", "ring.json", "signing-key.jwk", "signing-key.pem"}
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(data))); diff != "" {
				t.Fatalf("entries (-want +got):\n%s", diff)
			}
			jwk := members(t, data[keyring.EntryJWK])
			if jwk["kid"] != active.ID() || string(data[keyring.EntryKeyID]) != active.ID() || jwk["alg"] != string(alg) {
				t.Errorf("key-id is %s and the JWK is %v for %v, want %s for %s", data[keyring.EntryKeyID], jwk["kid"], jwk["alg"], active.ID(), alg)
			}
			if diff := cmp.Diff(jwk, mergeNumbers(jwk, pkcs8Numbers(t, data[keyring.EntryPEM]))); diff != "" {
				t.Error("the PEM holds another key than the JWK") // the difference would show private numbers
			}
			mustPublish(t, k, data[keyring.EntryJWKS])
		})
	}
}

// pkcs8Numbers are the numbers of the key in a PEM, as a JWK has them (RFC 7518 section 6, RFC 8037 section 2).
func pkcs8Numbers(t *testing.T, text []byte) map[string]any {
	t.Helper()
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		t.Fatal("the PEM is not one block of type PRIVATE KEY")
	}
	switch key := must(x509.ParsePKCS8PrivateKey(block.Bytes))(t).(type) {
	case *ecdsa.PrivateKey:
		point := must(key.PublicKey.Bytes())(t)[1:]
		half := len(point) / 2
		return map[string]any{"x": b64(point[:half]), "y": b64(point[half:]), "d": b64(must(key.Bytes())(t))}
	case *rsa.PrivateKey:
		return map[string]any{"n": b64(key.N.Bytes()), "d": b64(key.D.Bytes()), "p": b64(key.Primes[0].Bytes())}
	case ed25519.PrivateKey:
		return map[string]any{"d": b64(key.Seed()), "x": b64(key[ed25519.SeedSize:])}
	default:
		t.Fatalf("the PEM holds a %T", key)
		return nil
	}
}

func mergeNumbers(jwk, numbers map[string]any) map[string]any {
	merged := maps.Clone(jwk)
	maps.Copy(merged, numbers)
	return merged
}

// mustPublish reads jwks.json: every key of the ring in its order, and nothing private.
func mustPublish(t *testing.T, k keyring.Keyring, jwks []byte) {
	t.Helper()
	var ids []string
	for _, key := range members(t, jwks)["keys"].([]any) {
		jwk := key.(map[string]any)
		mustBePublic(t, jwk)
		ids = append(ids, jwk["kid"].(string))
	}
	if diff := cmp.Diff(k.IDs(), ids); diff != "" {
		t.Errorf("published IDs (-ring +set):\n%s", diff)
	}
}

// TestTheFormOfARing pins what is stored: an operator of a later version reads the rings of this one.
func TestTheFormOfARing(t *testing.T) {
	one, two := fixedPair(1), fixedPair(2)
	text := `{"keys":[` + one.private + `,` + two.public + `],"states":[` +
		`{"kid":"` + one.id + `","state":"Active","createdAt":"2026-01-02T03:04:05Z","publishedAt":"2026-01-02T03:04:06Z",` +
		`"activatedAt":"2026-01-02T04:04:06Z","longestTokenSeconds":3600,"marginSeconds":420,"superseded":true},` +
		`{"kid":"` + two.id + `","state":"Retired","createdAt":"2026-01-01T03:04:05Z","retiredAt":"2026-01-02T04:04:06Z",` +
		`"longestTokenSeconds":60,"recovered":true}],` +
		`"denied":[{"kid":"x","alg":"ES256","createdAt":"2026-01-01T00:00:00Z","revokedAt":"2026-01-01T00:00:01Z","until":"2026-01-02T00:00:01Z"}],` +
		`"generation":12,"leadSeconds":3780,"cachesUntil":"2026-01-02T05:00:00Z","rotateRequest":"now"}`
	k := must(keyring.Decode(map[string][]byte{"ring.json": []byte(text)}))(t)
	want := rotation.Ring{
		Generation: 12,
		Keys: []rotation.Key{
			{
				ID: one.id, Algorithm: "EdDSA", State: rotation.Active, CreatedAt: epoch(), PublishedAt: epoch().Add(time.Second),
				ActivatedAt: epoch().Add(time.Hour + time.Second), LongestToken: time.Hour, Margin: 7 * time.Minute, Superseded: true,
			},
			{
				ID: two.id, Algorithm: "EdDSA", State: rotation.Retired, CreatedAt: epoch().Add(-24 * time.Hour),
				RetiredAt: epoch().Add(time.Hour + time.Second), LongestToken: time.Minute, Recovered: true,
			},
		},
		Denied: []rotation.Denial{{
			ID: "x", Algorithm: "ES256", CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			RevokedAt: time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC), Until: time.Date(2026, 1, 2, 0, 0, 1, 0, time.UTC),
		}},
		Lead: 63 * time.Minute, CachesUntil: time.Date(2026, 1, 2, 5, 0, 0, 0, time.UTC), RotateRequest: "now",
	}
	if diff := cmp.Diff(plain(want), plain(k.Ring())); diff != "" {
		t.Errorf("ring (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(text, string(encode(t, k)[keyring.EntryRing])); diff != "" {
		t.Errorf("ring.json (-read +written):\n%s", diff)
	}
}

// TestTheFullestRingIsRead has as many keys and denials as a ring can have.
func TestTheFullestRingIsRead(t *testing.T) {
	ring := rotation.Ring{}
	var public []jose.PublicKey
	active := newKey(t, jose.PS512)
	ring.Keys = []rotation.Key{{ID: active.ID(), Algorithm: "PS512", State: rotation.Active, CreatedAt: epoch(), ActivatedAt: epoch()}}
	for range rotation.MaxKeys - 1 {
		key := newKey(t, jose.ES512).Public()
		public = append(public, key)
		ring.Keys = append(ring.Keys, rotation.Key{ID: key.ID(), Algorithm: "ES512", State: rotation.Retired, CreatedAt: epoch(), RetiredAt: epoch()})
	}
	for i := range 64 {
		ring.Denied = append(ring.Denied, rotation.Denial{ID: fmt.Sprintf("%043d", i), Algorithm: "ES256", CreatedAt: epoch(), RevokedAt: epoch(), Until: epoch()})
	}
	back := must(keyring.Decode(encode(t, with(t, keyring.Keyring{}, ring, jose.NewKeySet(public...), active))))(t)
	if diff := cmp.Diff(plain(ring), plain(back.Ring())); diff != "" {
		t.Errorf("ring (-written +read):\n%s", diff)
	}
}

func TestDerived(t *testing.T) {
	one, two := fixedPair(1), fixedPair(2)
	cases := map[string]struct {
		change func(data map[string][]byte)
		want   bool
	}{
		"what was written":           {func(map[string][]byte) {}, true},
		"an entry is missing":        {func(d map[string][]byte) { delete(d, "jwks.json") }, false},
		"an entry is empty":          {func(d map[string][]byte) { d["key-id"] = nil }, false},
		"an entry is of another key": {func(d map[string][]byte) { d["signing-key.jwk"] = []byte(two.private) }, false},
		"an entry is cut":            {func(d map[string][]byte) { d["signing-key.pem"] = d["signing-key.pem"][1:] }, false},
		"an entry too many":          {func(d map[string][]byte) { d["note"] = []byte("mine") }, false},
		"the truth in another form":  {func(d map[string][]byte) { d["ring.json"] = append(d["ring.json"], '\n') }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text := `{"keys":[` + one.private + `],"states":[{"kid":"` + one.id + `","state":"Active","createdAt":"2026-01-02T03:04:05Z",` +
				`"activatedAt":"2026-01-02T03:04:05Z"}],"generation":1,"leadSeconds":0}`
			k := must(keyring.Decode(map[string][]byte{"ring.json": []byte(text)}))(t)
			data := encode(t, k)
			c.change(data)
			if got := k.Derived(data); got != c.want {
				t.Errorf("derived is %t, want %t", got, c.want)
			}
		})
	}
}
