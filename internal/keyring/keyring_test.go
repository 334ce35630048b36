package keyring_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
)

func TestTheZeroKeyringIsEmpty(t *testing.T) {
	var k keyring.Keyring
	if _, ok := k.Signer(); ok || !k.IsEmpty() || k.Public().Len() != 0 || len(k.IDs()) != 0 {
		t.Error("a keyring without keys has some")
	}
	if data, err := k.Encode(); err == nil {
		t.Errorf("a keyring without a key that signs is encoded, with %d entries", len(data))
	}
}

func TestWhatIsMintedSigns(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.PS256} {
		t.Run(string(alg), func(t *testing.T) {
			minter := &keyring.Minter{}
			out := must(rotation.Ring{}.Advance(rotation.Policy{Algorithm: string(alg)}, nil, epoch(), minter.Mint))(t)
			k := must(keyring.Keyring{}.With(out.Ring, minter, jose.KeySet{}))(t)
			signer, ok := k.Signer()
			active, _ := out.Ring.ActiveKey()
			if !ok || signer.ID() != active.ID || signer.Algorithm() != alg {
				t.Fatalf("the signer is %s for %q, want key %s", signer, signer.Algorithm(), active.ID)
			}
			token := must(jose.Sign(signer, jose.TypeJWT, []byte(`{}`)))(t)
			if _, err := jose.Verify(token.Reveal(), k.Public()); err != nil {
				t.Errorf("what it signs does not verify with the published set: %v", err)
			}
		})
	}
}

func TestMintKnowsOnlyAlgorithmsWithTwoHalves(t *testing.T) {
	for _, name := range []string{"", "none", "HS256", "es256", "RS1"} {
		if id, err := new(keyring.Minter).Mint(name); err == nil {
			t.Errorf("%q makes key %s", name, id)
		}
	}
}

func TestThePublishedSetIsInTheOrderOfTheRing(t *testing.T) {
	k := threeKeys(t, newKey(t, jose.EdDSA), newKey(t, jose.ES256), newKey(t, jose.EdDSA))
	var ring, set []string
	for _, key := range k.Ring().Keys {
		ring = append(ring, key.ID)
	}
	for _, key := range k.Public().Keys() {
		set = append(set, key.ID())
	}
	if diff := cmp.Diff(ring, set); diff != "" {
		t.Errorf("published set (-ring +set):\n%s", diff)
	}
	if diff := cmp.Diff(ring, k.IDs()); diff != "" {
		t.Errorf("IDs (-ring +IDs):\n%s", diff)
	}
}

// TestWithDestroysPrivateHalves looks for the private half in everything that would be stored.
func TestWithDestroysPrivateHalves(t *testing.T) {
	pending, active, retired := newKey(t, jose.EdDSA), newKey(t, jose.ES256), newKey(t, jose.EdDSA)
	cases := map[string]struct {
		turn func(rotation.Ring) rotation.Ring
		// gone and kept are whose private halves are not and are stored.
		gone, kept []jose.PrivateKey
	}{
		"nothing happens": {
			turn: func(r rotation.Ring) rotation.Ring { return r },
			kept: []jose.PrivateKey{pending, active}, gone: []jose.PrivateKey{retired},
		},
		"the Pending key follows the Active one": {
			turn: func(r rotation.Ring) rotation.Ring {
				r.Keys[0].State, r.Keys[0].ActivatedAt = rotation.Active, epoch()
				r.Keys[1].State, r.Keys[1].RetiredAt = rotation.Retired, epoch()
				return r
			},
			kept: []jose.PrivateKey{pending}, gone: []jose.PrivateKey{active, retired},
		},
		"the Active key is revoked": {
			turn: func(r rotation.Ring) rotation.Ring {
				r.Keys = []rotation.Key{r.Keys[0], r.Keys[2]}
				r.Keys[0].State, r.Keys[0].ActivatedAt = rotation.Active, epoch()
				return r
			},
			kept: []jose.PrivateKey{pending}, gone: []jose.PrivateKey{active, retired},
		},
		"the Pending key is revoked": {
			turn: func(r rotation.Ring) rotation.Ring {
				r.Keys = r.Keys[1:]
				return r
			},
			kept: []jose.PrivateKey{active}, gone: []jose.PrivateKey{pending, retired},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := threeKeys(t, pending, active, retired)
			after := with(t, before, c.turn(before.Ring()), jose.KeySet{})
			stored := stored(t, after)
			for _, key := range c.gone {
				if strings.Contains(stored, privateNumber(t, key)) {
					t.Errorf("the private half of %s is stored", key.ID())
				}
			}
			for _, key := range c.kept {
				if !strings.Contains(stored, privateNumber(t, key)) {
					t.Errorf("the private half of %s is lost", key.ID())
				}
			}
		})
	}
}

func stored(t *testing.T, k keyring.Keyring) string {
	t.Helper()
	var all bytes.Buffer
	for _, entry := range encode(t, k) {
		all.Write(entry)
	}
	return all.String()
}

func privateNumber(t testing.TB, key jose.PrivateKey) string {
	t.Helper()
	return members(t, must(key.JWK())(t))["d"].(string)
}

func TestWithNeedsTheMaterialOfEveryKey(t *testing.T) {
	one, other := newKey(t, jose.EdDSA), newKey(t, jose.EdDSA)
	ring := func(key jose.PrivateKey, state rotation.State) rotation.Ring {
		return rotation.Ring{Keys: []rotation.Key{{ID: key.ID(), State: state}}}
	}
	cases := map[string]struct {
		ring      rotation.Ring
		minted    []jose.PrivateKey
		recovered []jose.PublicKey
		// want is the error; empty for none.
		want string
	}{
		"an Active key that was minted":                   {ring: ring(one, rotation.Active), minted: []jose.PrivateKey{other, one}},
		"an Active key that nobody made":                  {ring: ring(one, rotation.Active), minted: []jose.PrivateKey{other}, want: "key " + one.ID() + " is Active and its private half is missing"},
		"a Pending key that nobody made":                  {ring: ring(one, rotation.Pending), want: "key " + one.ID() + " is Pending and its private half is missing"},
		"an Active key of which the public half is found": {ring: ring(one, rotation.Active), recovered: []jose.PublicKey{one.Public()}, want: "key " + one.ID() + " is Active and its private half is missing"},
		"a Retired key that was found published":          {ring: ring(one, rotation.Retired), recovered: []jose.PublicKey{one.Public()}},
		"a Retired key that nobody knows":                 {ring: ring(one, rotation.Retired), recovered: []jose.PublicKey{other.Public()}, want: "key " + one.ID() + " is Retired and its public half is missing"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			minter := &keyring.Minter{}
			minter.Add(c.minted...)
			k, err := keyring.Keyring{}.With(c.ring, minter, jose.NewKeySet(c.recovered...))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Fatalf("error (-want +got):\n%s", diff)
			}
			if _, ok := k.Public().Lookup(one.ID()); ok != (c.want == "") {
				t.Errorf("the published set holds the key: %t", ok)
			}
		})
	}
}

// TestWithLeavesTheKeyringItWasAskedOf guards what several workers share.
func TestWithLeavesTheKeyringItWasAskedOf(t *testing.T) {
	k := threeKeys(t, newKey(t, jose.EdDSA), newKey(t, jose.ES256), newKey(t, jose.EdDSA))
	before := encode(t, k)
	with(t, k, rotation.Ring{Keys: k.Ring().Keys[1:]}, jose.KeySet{})
	if diff := cmp.Diff(before, encode(t, k)); diff != "" {
		t.Errorf("data (-before +after):\n%s", diff)
	}
}

// TestAKeyringShowsNoKey prints what holds private keys in every way that a log, an error or a panic could.
func TestAKeyringShowsNoKey(t *testing.T) {
	pending, active, retired := newKey(t, jose.RS256), newKey(t, jose.ES256), newKey(t, jose.EdDSA)
	k := threeKeys(t, pending, active, retired)
	minter := &keyring.Minter{}
	minter.Add(pending, active)
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for name, holder := range map[string]any{"keyring": k, "pointer": &k, "minter": minter, "value": *minter, "list": []any{k, minter}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%08b"} {
			fmt.Fprintf(&out, verb+"\n", holder)
		}
		logger.Info("all", name, holder)
	}
	for _, key := range []jose.PrivateKey{pending, active} {
		for name, value := range members(t, must(key.JWK())(t)) {
			text := value.(string)
			if slices.Contains(privateMembers(), name) && (strings.Contains(out.String(), text) || strings.Contains(out.String(), fmt.Sprintf("%x", text))) {
				t.Errorf("member %s of a private key is shown", name)
			}
		}
	}
}
