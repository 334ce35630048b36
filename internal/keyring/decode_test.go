package keyring_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/keyring"
)

// document is ring.json with a Pending, an Active and a Retired key, to be changed and written again.
type document struct {
	Keys       []json.RawMessage
	States     []map[string]any
	Denied     []map[string]any
	Generation any
	Lead       any
	Caches     any
}

func goodDocument() *document {
	d := &document{
		Generation: 3, Lead: 3780, Caches: "2026-01-02T03:04:05Z",
		Denied: []map[string]any{{"kid": "x", "revokedAt": "2026-01-02T03:04:05Z", "until": "2026-01-02T03:04:05Z"}},
	}
	for i, state := range []string{"Pending", "Active", "Retired"} {
		key := fixedPair(byte(i + 1))
		jwk := key.private
		if state == "Retired" {
			jwk = key.public
		}
		d.Keys = append(d.Keys, json.RawMessage(jwk))
		d.States = append(d.States, map[string]any{
			"kid": key.id, "state": state, "createdAt": "2026-01-02T03:04:05Z", "publishedAt": "2026-01-02T03:04:05Z",
			"activatedAt": "2026-01-02T03:04:05Z", "retiredAt": "2026-01-02T03:04:05Z", "longestTokenSeconds": 60, "marginSeconds": 60,
		})
	}
	return d
}

func (d *document) encode(t testing.TB) string {
	t.Helper()
	return string(must(json.Marshal(map[string]any{
		"keys": d.Keys, "states": d.States, "denied": d.Denied, "generation": d.Generation, "leadSeconds": d.Lead, "cachesUntil": d.Caches,
	}))(t))
}

func (d *document) replace(i int, old, with string) {
	d.Keys[i] = json.RawMessage(strings.Replace(string(d.Keys[i]), old, with, 1))
}

// hidden is a text that stands where a private key could: no error may show it.
const hidden = "c2VjcmV0LXByaXZhdGUta2V5LW1hdGVyaWFs"

func TestDecodeRefuses(t *testing.T) {
	const notARing = "ring is corrupt: ring.json is not the JSON of a ring"
	one, two, three, four := fixedPair(1), fixedPair(2), fixedPair(3), fixedPair(4)
	cases := map[string]struct {
		change func(d *document)
		want   string
	}{
		"no key at all":              {func(d *document) { d.Keys, d.States = nil, nil }, "ring is corrupt: ring has 0 keys, want 1 to 10"},
		"a key without state":        {func(d *document) { d.States = d.States[:2] }, "ring is corrupt: 3 keys have 2 states"},
		"a state without key":        {func(d *document) { d.Keys = d.Keys[:2] }, "ring is corrupt: 2 keys have 3 states"},
		"states in another order":    {func(d *document) { d.States[0]["kid"], d.States[1]["kid"] = two.id, one.id }, "ring is corrupt: key 0: state and key have different IDs"},
		"a state of a key before it": {func(d *document) { d.States[1]["kid"] = one.id }, "ring is corrupt: key 1: state and key have different IDs"},
		"a state of no key":          {func(d *document) { d.States[2]["kid"] = hidden }, "ring is corrupt: key 2: state and key have different IDs"},
		"a state without ID":         {func(d *document) { delete(d.States[0], "kid") }, "ring is corrupt: key 0: state and key have different IDs"},
		"one key twice": {func(d *document) {
			d.Keys[1], d.States[1]["kid"] = json.RawMessage(one.private), one.id
		}, `ring is corrupt: key "` + one.id + `" is in the ring twice`},
		"two Active keys":      {func(d *document) { d.States[0]["state"] = "Active" }, "ring is corrupt: ring has 2 Active keys, want 1"},
		"no Active key":        {func(d *document) { d.States[1]["state"] = "Pending" }, "ring is corrupt: ring has 0 Active keys, want 1"},
		"a state that is none": {func(d *document) { d.States[1]["state"] = hidden }, "ring is corrupt: key 1: state is none of Pending, Active, Retired"},
		"no state":             {func(d *document) { delete(d.States[1], "state") }, "ring is corrupt: key 1: state is none of Pending, Active, Retired"},
		"eleven keys": {func(d *document) {
			for i := range byte(8) {
				key := fixedPair(100 + i)
				d.Keys = append(d.Keys, json.RawMessage(key.public))
				d.States = append(d.States, map[string]any{"kid": key.id, "state": "Retired", "createdAt": "2026-01-02T03:04:05Z", "retiredAt": "2026-01-02T03:04:05Z"})
			}
		}, "ring is corrupt: ring has 11 keys, want 1 to 10"},
		"more denials than a ring remembers": {func(d *document) {
			for range 64 {
				d.Denied = append(d.Denied, d.Denied[0])
			}
		}, "ring is corrupt: ring denies 65 keys, want at most 64"},

		"a private half of another key":          {func(d *document) { d.replace(1, two.private[:80], one.private[:80]) }, "ring is corrupt: key 1: read private half: "},
		"a private half with one letter changed": {func(d *document) { d.replace(1, `"d":"A`, `"d":"B`) }, "ring is corrupt: key 1: read private half: "},
		"a private half that is no number":       {func(d *document) { d.replace(1, `"d":"`, `"d":"`+hidden) }, "ring is corrupt: key 1: read private half: "},
		"an Active key without private half":     {func(d *document) { d.Keys[1] = json.RawMessage(two.public) }, "ring is corrupt: key 1: read private half: "},
		"a Pending key without private half":     {func(d *document) { d.Keys[0] = json.RawMessage(one.public) }, "ring is corrupt: key 0: read private half: "},
		"a Retired key with its private half":    {func(d *document) { d.Keys[2] = json.RawMessage(three.private) }, "ring is corrupt: key 2: read public half: "},
		"another kid than the key's":             {func(d *document) { d.replace(1, two.id, four.id) }, "ring is corrupt: key 1: read private half: "},
		"an algorithm of another kind of key":    {func(d *document) { d.replace(2, `"EdDSA"`, `"ES256"`) }, "ring is corrupt: key 2: read public half: "},
		"a key that is none":                     {func(d *document) { d.Keys[0] = json.RawMessage(`"` + hidden + `"`) }, "ring is corrupt: key 0: read private half: "},
		"a key that is null":                     {func(d *document) { d.Keys[2] = json.RawMessage(`null`) }, "ring is corrupt: key 2: read public half: "},

		"a Pending key that was never made":      {func(d *document) { delete(d.States[0], "createdAt") }, `ring is corrupt: key "` + one.id + `": an instant that its state needs is missing`},
		"an Active key that was never activated": {func(d *document) { delete(d.States[1], "activatedAt") }, `ring is corrupt: key "` + two.id + `": an instant that its state needs is missing`},
		"a Retired key that was never retired":   {func(d *document) { delete(d.States[2], "retiredAt") }, `ring is corrupt: key "` + three.id + `": an instant that its state needs is missing`},

		"a fraction of a second in a state":     {func(d *document) { d.States[0]["publishedAt"] = "2026-01-02T03:04:05.5Z" }, notARing},
		"a fraction of a second in a denial":    {func(d *document) { d.Denied[0]["until"] = "2026-01-02T03:04:05.000000001Z" }, notARing},
		"a fraction of a second for the caches": {func(d *document) { d.Caches = "2026-01-02T03:04:05.1Z" }, notARing},
		"an instant in another time zone":       {func(d *document) { d.States[2]["retiredAt"] = "2026-01-02T04:04:05+01:00" }, notARing},
		"an instant in the year 10000 in UTC":   {func(d *document) { d.Caches = "9999-12-31T23:59:59-01:00" }, notARing},
		"an instant that is none":               {func(d *document) { d.States[0]["createdAt"] = hidden }, notARing},
		"an instant that is a number":           {func(d *document) { d.States[0]["createdAt"] = 5 }, notARing},

		"a life that overflows":               {func(d *document) { d.States[1]["longestTokenSeconds"] = int64(9223372037) }, notARing},
		"a life that overflows to a good one": {func(d *document) { d.States[1]["longestTokenSeconds"] = int64(36028797018963968 + 60) }, notARing},
		"a life beyond 64 bits":               {func(d *document) { d.States[1]["longestTokenSeconds"] = json.Number("99999999999999999999") }, notARing},
		"lives of which the sum overflows": {func(d *document) {
			d.States[2]["longestTokenSeconds"], d.States[2]["marginSeconds"] = int64(9e9), int64(9e9)
		}, notARing},
		"a life of more than a century": {func(d *document) { d.States[1]["longestTokenSeconds"] = int64(100*365*24*3600 + 1) }, notARing},
		"a life below nothing":          {func(d *document) { d.States[1]["longestTokenSeconds"] = -1 }, notARing},
		"a margin below nothing":        {func(d *document) { d.States[2]["marginSeconds"] = -1 }, notARing},
		"a lead below nothing":          {func(d *document) { d.Lead = -1 }, notARing},
		"a lead with a fraction":        {func(d *document) { d.Lead = 1.5 }, notARing},
		"a lead that is a text":         {func(d *document) { d.Lead = hidden }, notARing},
		"a generation that is a text":   {func(d *document) { d.Generation = hidden }, notARing},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := goodDocument()
			c.change(d)
			text := d.encode(t)
			_, err := keyring.Decode(map[string][]byte{keyring.EntryRing: []byte(text)})
			if !errors.Is(err, keyring.ErrCorrupt) || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("error is %v, want %q", err, c.want)
			}
			mustNotQuote(t, err, text)
		})
	}
}

func TestDecodeRefusesTexts(t *testing.T) {
	good := goodDocument().encode(t)
	cases := map[string]struct {
		text string
		want string
	}{
		"nothing":                      {"", "ring is corrupt: ring.json has 0 bytes, want 1 to 524288"},
		"a megabyte":                   {strings.Repeat(" ", 1<<20), "ring is corrupt: ring.json has 1048576 bytes, want 1 to 524288"},
		"a good ring that is too long": {good + strings.Repeat(" ", 512<<10+1-len(good)), "ring is corrupt: ring.json has 524289 bytes, want 1 to 524288"},
		"no JSON":                      {hidden, "ring is corrupt: ring.json is not the JSON of a ring"},
		"a ring cut short":             {good[:len(good)-1], "ring is corrupt: ring.json is not the JSON of a ring"},
		"two rings":                    {good + good, "ring is corrupt: ring.json is not the JSON of a ring"},
		"a list":                       {"[" + good + "]", "ring is corrupt: ring.json is not the JSON of a ring"},
		"null":                         {"null", "ring is corrupt: ring has 0 keys, want 1 to 10"},
		"an empty object":              {"{}", "ring is corrupt: ring has 0 keys, want 1 to 10"},
		"a deep text":                  {`{"keys":` + strings.Repeat("[", 200_000), "ring is corrupt: ring.json is not the JSON of a ring"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := keyring.Decode(map[string][]byte{keyring.EntryRing: []byte(c.text)})
			if !errors.Is(err, keyring.ErrCorrupt) || err.Error() != c.want {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// TestDecodeReadsNothingButTheRing says that derived entries are derived: whoever edits one changes nothing.
func TestDecodeReadsNothingButTheRing(t *testing.T) {
	text := []byte(goodDocument().encode(t))
	alone := must(keyring.Decode(map[string][]byte{"ring.json": text}))(t)
	edited := must(keyring.Decode(map[string][]byte{
		"ring.json": text, "key-id": []byte("x"), "jwks.json": []byte("x"), "signing-key.jwk": []byte(fixedPair(4).private), "signing-key.pem": {0},
	}))(t)
	if diff := cmp.Diff(encode(t, alone), encode(t, edited)); diff != "" {
		t.Errorf("data (-alone +edited):\n%s", diff)
	}
	if _, err := keyring.Decode(map[string][]byte{"signing-key.jwk": []byte(fixedPair(2).private)}); !errors.Is(err, keyring.ErrCorrupt) {
		t.Errorf("without ring.json the error is %v", err)
	}
}

// mustNotQuote fails if an error shows a piece of its input long enough to be told from chance. The IDs of the fixed keys
// are public.
func mustNotQuote(t testing.TB, err error, input string) {
	t.Helper()
	const piece = 10
	message := err.Error()
	for seed := range byte(5) {
		message = strings.ReplaceAll(message, fixedPair(seed).id, "")
	}
	for i := 0; i+piece <= len(message); i++ {
		if strings.Contains(input, message[i:i+piece]) {
			t.Errorf("error %q shows %q of the input", err, message[i:i+piece])
			return
		}
	}
}

// FuzzDecode finds panics, errors that show what was read, and rings that are read but cannot be stored again.
func FuzzDecode(f *testing.F) {
	good := goodDocument()
	f.Add([]byte(good.encode(f)))
	alone := goodDocument()
	alone.Keys, alone.States, alone.Denied = alone.Keys[1:2], alone.States[1:2], nil
	f.Add([]byte(alone.encode(f)))
	two := goodDocument()
	two.States[0]["state"] = "Active"
	f.Add([]byte(two.encode(f)))
	f.Add([]byte(`{"keys":[null],"states":[null],"denied":[null],"leadSeconds":1e9,"cachesUntil":"0000-00-00T00:00:00Z"}`))
	f.Add([]byte(`{"keys":[],"states":[],"generation":-9223372036854775808}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := keyring.Decode(map[string][]byte{keyring.EntryRing: text})
		if err != nil {
			mustNotQuote(t, err, string(text))
			return
		}
		data := encode(t, k)
		back := must(keyring.Decode(data))(t)
		if diff := cmp.Diff(plain(k.Ring()), plain(back.Ring())); diff != "" {
			t.Errorf("ring (-read +read again):\n%s", diff)
		}
		if !back.Derived(data) {
			t.Error("what was written is not derived from itself")
		}
		for i, key := range k.Ring().Keys {
			_, has := members(t, data[keyring.EntryRing])["keys"].([]any)[i].(map[string]any)["d"]
			if has != (key.State != rotation.Retired) {
				t.Errorf("a %s key is stored with its private half: %t", key.State, has)
			}
		}
	})
}
