package jose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/jose"
)

func drawAlgorithm(t *rapid.T) jose.Algorithm {
	return rapid.SampledFrom(jose.Algorithms()).Draw(t, "algorithm")
}

// TestEveryByteOfATokenCounts replaces, inserts and removes single bytes. It fails when base64 is read without Strict,
// line breaks are skipped, a part is not covered by the signature, or verification is left out.
func TestEveryByteOfATokenCounts(t *testing.T) {
	tokens := map[jose.Algorithm]string{}
	for alg, key := range keys() {
		tokens[alg] = sign(t, key, someClaims)
	}
	rapid.Check(t, func(t *rapid.T) {
		alg := drawAlgorithm(t)
		token := tokens[alg]
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		bytes := rapid.OneOf(
			rapid.SampledFrom([]byte("ABab01-_.+/= \r\n\t\x00")),
			rapid.Custom(func(t *rapid.T) byte { return token[at] ^ (1 << rapid.IntRange(0, 7).Draw(t, "bit")) }),
			rapid.Byte(),
		)
		replaced := bytes.Draw(t, "byte")
		tampered := map[string]string{
			"replaced": token[:at] + string([]byte{replaced}) + token[at+1:],
			"inserted": token[:at] + string([]byte{replaced}) + token[at:],
			"removed":  token[:at] + token[at+1:],
		}[rapid.SampledFrom([]string{"replaced", "inserted", "removed"}).Draw(t, "how")]
		if tampered == token {
			t.Skip("the same byte")
		}
		if _, err := jose.Verify(tampered, jose.NewKeySet(keys()[alg].Public())); err == nil {
			t.Fatal("a token that was tampered with verifies")
		}
	})
}

func TestEachByteFlippedOnce(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	token := sign(t, keys()[jose.EdDSA], someClaims)
	for at := range len(token) {
		next := alphabet[(strings.IndexByte(alphabet, token[at])+1)%len(alphabet)]
		if _, err := jose.Verify(token[:at]+string(next)+token[at+1:], allKeys()); err == nil {
			t.Errorf("the token verifies with byte %d changed", at)
		}
	}
}

// drawJSON draws any JSON value, with names that need escapes and names that repeat at different depths.
func drawJSON(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Float64Range(-1e9, 1e9).AsAny(), rapid.String().AsAny(),
	)
	if depth == 0 {
		return leaf
	}
	inner := rapid.Deferred(func() *rapid.Generator[any] { return drawJSON(depth - 1) })
	names := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", `"`, `\`, "{", "é\n"}), rapid.String())
	return rapid.OneOf(leaf, rapid.SliceOfN(inner, 0, 4).AsAny(), rapid.MapOfN(names, inner, 0, 4).AsAny())
}

// TestWhateverIsSignedVerifiesWithTheSameClaims fails when the reader of JSON loses its place in some text, or when claims
// are written in another form than they were given.
func TestWhateverIsSignedVerifiesWithTheSameClaims(t *testing.T) {
	key := keys()[jose.EdDSA]
	rapid.Check(t, func(t *rapid.T) {
		value := map[string]any{"extra": drawJSON(3).Draw(t, "extra"), "sub": "someone"}
		claims, err := json.MarshalIndent(value, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := jose.Sign(key, jose.TypeJWT, claims)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jose.Verify(signed.Reveal(), allKeys())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(claims), string(token.Claims)); diff != "" || token.Subject != "someone" {
			t.Fatalf("sub %q, claims (-want +got):\n%s", token.Subject, diff)
		}
	})
}
