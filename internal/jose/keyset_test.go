package jose_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
)

func publicKeys(algorithms ...jose.Algorithm) []jose.PublicKey {
	public := make([]jose.PublicKey, 0, len(algorithms))
	for _, alg := range algorithms {
		public = append(public, keys()[alg].Public())
	}
	return public
}

func ids(set jose.KeySet) []string {
	var ids []string
	for _, key := range set.Keys() {
		ids = append(ids, key.ID())
	}
	return ids
}

func TestKeySetKeepsOrderAndDropsDuplicates(t *testing.T) {
	k := publicKeys(jose.ES256, jose.EdDSA, jose.ES512)
	tests := map[string]struct{ keys, want []jose.PublicKey }{
		"no keys":                     {nil, []jose.PublicKey{}},
		"in the order given":          {[]jose.PublicKey{k[2], k[0], k[1]}, []jose.PublicKey{k[2], k[0], k[1]}},
		"a key again":                 {[]jose.PublicKey{k[0], k[1], k[0]}, []jose.PublicKey{k[0], k[1]}},
		"a key for two algorithms":    {publicKeys(jose.RS256, jose.PS256), publicKeys(jose.RS256)},
		"one key many times, no more": {[]jose.PublicKey{k[0], k[0], k[0]}, []jose.PublicKey{k[0]}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set := jose.NewKeySet(test.keys...)
			if diff := cmp.Diff(test.want, append([]jose.PublicKey{}, set.Keys()...)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if set.Len() != len(test.want) {
				t.Errorf("got %d keys, want %d", set.Len(), len(test.want))
			}
		})
	}
}

func TestKeySetIsImmutable(t *testing.T) {
	given := publicKeys(jose.ES256, jose.EdDSA)
	set := jose.NewKeySet(given...)
	want := ids(set)
	given[0] = keys()[jose.ES512].Public()
	set.Keys()[1] = jose.PublicKey{}
	if encoded, err := set.Keys()[0].JWK(); err == nil {
		encoded[0] = 'X'
	}
	if diff := cmp.Diff(want, ids(set)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if encoded, err := set.JSON(); err != nil || !strings.HasPrefix(string(encoded), `{"keys":[{"alg"`) {
		t.Errorf("got %s, %v", encoded, err)
	}
}

func TestKeySetLookup(t *testing.T) {
	set := jose.NewKeySet(publicKeys(jose.ES256, jose.EdDSA)...)
	for _, want := range set.Keys() {
		if got, found := set.Lookup(want.ID()); !found || !got.Equal(want) {
			t.Errorf("%s: got %s, %t", want.ID(), got.ID(), found)
		}
	}
	for _, id := range []string{"", "unknown", keys()[jose.ES512].ID()} {
		if got, found := set.Lookup(id); found || !got.IsZero() {
			t.Errorf("%q: got a key", id)
		}
	}
}

func TestKeySetKeepsItsBytesThroughParsing(t *testing.T) {
	for name, set := range map[string]jose.KeySet{
		"no keys":             {},
		"a key per algorithm": jose.NewKeySet(publicKeys(jose.Algorithms()...)...),
	} {
		t.Run(name, func(t *testing.T) {
			encoded, err := set.JSON()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jose.ParseKeySet(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ids(set), ids(parsed)); diff != "" {
				t.Errorf("key IDs (-want +got):\n%s", diff)
			}
			again, err := parsed.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(encoded), string(again)); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeySetOfNoKeysIsAnEmptyArray(t *testing.T) {
	encoded, err := jose.NewKeySet().JSON()
	if err != nil || string(encoded) != `{"keys":[]}` {
		t.Errorf("got %s, %v", encoded, err)
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	ec := string(encode(t, publicMembers(t, keys()[jose.ES256].Public())))
	ed := string(encode(t, publicMembers(t, keys()[jose.EdDSA].Public())))
	private := string(encode(t, privateMembers(t, keys()[jose.EdDSA])))
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	crowd := make([]string, jose.MaxKeys+1)
	for i := range crowd {
		crowd[i] = fmt.Sprintf(`{"kid":"%d"}`, i)
	}
	tests := map[string]struct {
		text string
		want error
		says string
	}{
		"empty text":               {"", jose.ErrMalformed, "JSON"},
		"not JSON":                 {`{"keys":[`, jose.ErrMalformed, "JSON"},
		"an array":                 {"[" + ec + "]", jose.ErrMalformed, "object"},
		"no keys member":           {`{}`, jose.ErrMalformed, "keys"},
		"keys null":                {`{"keys":null}`, jose.ErrMalformed, "keys"},
		"keys that is an object":   {`{"keys":{}}`, jose.ErrMalformed, "keys"},
		"Keys in another case":     {`{"Keys":[]}`, jose.ErrMalformed, "keys"},
		"keys twice":               {`{"keys":[` + ec + `],"keys":[]}`, jose.ErrMalformed, "twice"},
		"a null key":               {set("null"), jose.ErrMalformed, "keys[0]"},
		"one key bad among good":   {set(ec, `{"kty":"oct","k":"AA","alg":"HS256","kid":"a"}`), jose.ErrAlgorithm, "keys[1]"},
		"a private key":            {set(ec, private), jose.ErrKey, "keys[1]"},
		"one kid twice":            {set(ec, ed, ec), jose.ErrKeyID, "keys[2]"},
		"a member of a key twice":  {set(strings.Replace(ec, `"alg"`, `"alg":"ES256","alg"`, 1)), jose.ErrMalformed, "twice"},
		"more keys than the limit": {set(crowd...), jose.ErrTooLarge, "100"},
		"longer than the limit":    {set(ec) + strings.Repeat(" ", jose.MaxKeySetBytes), jose.ErrTooLarge, "65536"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := jose.ParseKeySet([]byte(test.text))
			if !errors.Is(err, test.want) || got.Len() != 0 {
				t.Fatalf("got %d keys, %v, want %v", got.Len(), err, test.want)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
			mustNotQuote(t, err, test.text)
		})
	}
}

func TestParseKeySetIgnoresOtherMembersOfTheSet(t *testing.T) {
	text := `{"note":{"a":[1,{}]}, "keys" : [ ` + string(encode(t, publicMembers(t, keys()[jose.ES256].Public()))) + " ] }\n"
	set, err := jose.ParseKeySet([]byte(text))
	if err != nil || set.Len() != 1 {
		t.Errorf("got %d keys, %v", set.Len(), err)
	}
}
