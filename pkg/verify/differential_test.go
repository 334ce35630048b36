package verify_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

// This package and internal/jose, by which the operator signs and admits, are two readers of one form. Here both judge the
// same tokens: whatever one of them takes, the other must take for the same.

type reading = interface {
	Helper()
	Errorf(format string, arguments ...any)
}

func mustAgree(t reading, set []byte, keys jose.KeySet, token string) {
	t.Helper()
	theirs, refusal := jose.Verify(token, keys)
	ours, err := verify.Read(token, set)
	if (err == nil) != (refusal == nil) {
		t.Errorf("this package says %v, internal/jose %v of %.2000q", err, refusal, token)
		return
	}
	if err != nil {
		return
	}
	want := verify.Token{
		KeyID: theirs.KeyID, Algorithm: verify.Algorithm(theirs.Algorithm), Type: theirs.Type,
		Issuer: theirs.Issuer, Subject: theirs.Subject, ID: theirs.ID, Audience: theirs.Audience,
		IssuedAt: theirs.IssuedAt, NotBefore: theirs.NotBefore, Expiry: theirs.Expiry, Claims: theirs.Claims,
	}
	if diff := cmp.Diff(want, ours, cmpopts.IgnoreFields(verify.Token{}, "Scopes", "ClientID")); diff != "" {
		t.Errorf("of %q internal/jose reads, and this package (-jose +this):\n%s", token, diff)
	}
}

// everyKey is one key for each algorithm that can be told apart by kid.
func everyKey() ([]byte, jose.KeySet) {
	var all []signer
	var public []jose.PublicKey
	for _, alg := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.RS256, jose.PS256} {
		all = append(all, signers()[alg])
		public = append(public, signers()[alg].key.Public())
	}
	return jwks(all...), jose.NewKeySet(public...)
}

func drawSigner(t *rapid.T) signer {
	return signers()[rapid.SampledFrom(jose.Algorithms()).Draw(t, "algorithm")]
}

// edges are JSON as attackers and careless issuers write it.
func edges() []string {
	return []string{
		`null`, `true`, `""`, `"a"`, `"\u0061"`, `"\ud800"`, `[]`, `["a"]`, `["a","b"]`, `["a",1]`, `[null]`, `{}`, `{"a":1,"a":2}`, `{"a":{"b":[{"c":1}]}}`,
		`0`, `-0`, `-0.0`, `-1`, `1.5`, `17e8`, `1.7E+9`, `1800000000`, `1800000000.123456789`, `253402300799`, `253402300799.9999999`, `253402300800`,
		`1e400`, `-1e-400`, `0e999`, `[[[[["a"]]]]]`, `"JWT"`, `"at+JWT"`, `"application/jwt"`, ` "a" `, `01`, `nope`, `"` + "\x01" + `"`, `"` + "\xff" + `"`,
	}
}

func headerNames() []string {
	return []string{"typ", "alg", "kid", "crit", "jwk", "jku", "x5u", "x5c", "b64", "cty", `\u0061lg`, "ALG", "zip", "x5t"}
}

func claimNames() []string {
	return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "client_id", `\u0065xp`, "EXP", "act", `a\"`, `\\`, ""}
}

func TestBothReadersAgreeOnEveryEdgeAndAttack(t *testing.T) {
	set, keys := everyKey()
	signer := signers()[jose.EdDSA]
	for _, value := range edges() {
		for _, name := range claimNames() {
			mustAgree(t, set, keys, signer.sign(`{"`+name+`":`+value+`}`))
		}
		for _, name := range headerNames() {
			mustAgree(t, set, keys, signer.forge(signer.header(`,"`+name+`":`+value), claims()))
		}
		mustAgree(t, set, keys, signer.forge(`{"alg":"EdDSA","kid":"`+signer.id()+`","typ":`+value+`}`, claims()))
		mustAgree(t, set, keys, signer.sign(value))
	}
	for _, attacks := range []map[string]attack{confusions(t), texts(), ecdsaTricks()} {
		for _, attack := range attacks {
			mustAgree(t, set, keys, attack.token)
		}
	}
}

func drawValue() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(edges()),
		rapid.Custom(func(t *rapid.T) string {
			encoded, err := json.Marshal(rapid.OneOf(rapid.String().AsAny(), rapid.Float64().AsAny(), rapid.SliceOf(rapid.String()).AsAny()).Draw(t, "value"))
			if err != nil {
				t.Skip("no JSON")
			}
			return string(encoded)
		}),
	)
}

func drawObject(t *rapid.T, label string, first []string, names ...string) string {
	all := slices.Clone(first)
	for range rapid.IntRange(0, 3).Draw(t, label+" members") {
		name := rapid.OneOf(rapid.SampledFrom(names), rapid.StringMatching(`[a-z]{1,4}`)).Draw(t, label+" name")
		all = append(all, `"`+name+`":`+drawValue().Draw(t, label+" value"))
	}
	separator := rapid.SampledFrom([]string{",", " , ", ",\r\n\t"}).Draw(t, label+" separator")
	return "{" + strings.Join(all, separator) + "}" + rapid.SampledFrom([]string{"", "", "", " ", "\n", "{}", ","}).Draw(t, label+" end")
}

func TestBothReadersAgreeOnWhatIsSigned(t *testing.T) {
	set, keys := everyKey()
	rapid.Check(t, func(t *rapid.T) {
		signer := drawSigner(t)
		header := drawObject(t, "header", []string{`"alg":"` + string(signer.alg) + `"`, `"kid":"` + signer.id() + `"`}, headerNames()...)
		payload := drawObject(t, "payload", nil, claimNames()...)
		mustAgree(t, set, keys, signer.forge(header, payload))
	})
}

func TestBothReadersAgreeOnWhatWasTamperedWith(t *testing.T) {
	set, keys := everyKey()
	tokens := map[jose.Algorithm]string{}
	for alg, signer := range signers() {
		tokens[alg] = signer.sign(claims())
	}
	rapid.Check(t, func(t *rapid.T) {
		token := tokens[drawSigner(t).alg]
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		put := rapid.OneOf(rapid.SampledFrom([]byte("ABab01-_.+/= \r\n\t\x00")), rapid.Byte()).Draw(t, "byte")
		rest := token[at+rapid.IntRange(0, 1).Draw(t, "taken"):]
		tampered := token[:at] + rapid.SampledFrom([]string{string([]byte{put}), ""}).Draw(t, "put") + rest
		mustAgree(t, set, keys, tampered)
		if _, err := verify.Read(tampered, set); err == nil && tampered != token {
			t.Error("a token that was tampered with verifies")
		}
	})
}

func TestADenyListDeniesHereWhatItDeniesInTheOperator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(1_800_000_000+rapid.Int64Range(-3, 3).Draw(t, "second"), 0).UTC()
		})
		text := rapid.SampledFrom([]string{"a", "<\u2028\"ü", strings.Repeat("x", 320)})
		var entries []denylist.Entry
		for range rapid.IntRange(0, 8).Draw(t, "entries") {
			e := denylist.Entry{
				Kind:  rapid.SampledFrom([]denylist.Kind{"jti", "sub", "client_id", "kid", ""}).Draw(t, "kind"),
				Value: text.Draw(t, "value"), IssuedBefore: instant.Draw(t, "before"), Until: instant.Draw(t, "until"),
			}
			switch {
			case e.Kind == denylist.Everything:
				e.Value = ""
			case e.Kind == denylist.TokenID || rapid.Bool().Draw(t, "all"):
				e.IssuedBefore = time.Time{}
			}
			entries = append(entries, e)
		}
		list := denylist.Compile(entries, start().Add(-time.Hour))
		document, err := list.Encode(issuer)
		if err != nil {
			t.Fatal(err)
		}
		said := rapid.OneOf(rapid.Just(""), text)
		token := verify.Token{
			ID: said.Draw(t, "jti"), Subject: said.Draw(t, "sub"), ClientID: said.Draw(t, "client_id"), KeyID: said.Draw(t, "kid"),
			IssuedAt: instant.Draw(t, "iat"),
		}
		_, theirs := list.Denies(denylist.Token{
			ID: token.ID, Subject: token.Subject, ClientID: token.ClientID, KeyID: token.KeyID, IssuedAt: token.IssuedAt,
		})
		if ours, err := verify.Denied(document, issuer, &token); err != nil || ours != theirs {
			t.Fatalf("this package denies %v (error %v), the operator %v by %s", ours, err, theirs, document)
		}
	})
}

func FuzzVerify(f *testing.F) {
	set, keys := everyKey()
	for _, signer := range signers() {
		f.Add(signer.sign(claims()))
	}
	for _, vector := range published().Signatures {
		f.Add(vector.Input + "." + vector.Signature)
	}
	for _, vector := range published().Refused {
		f.Add(vector.Token)
	}
	f.Add(signers()[jose.EdDSA].forge(signers()[jose.EdDSA].header(`,"crit":["b64"],"b64":false`), claims("exp", "1.5e9")))
	clock := newClock()
	verifier := accepting(f, clock, signers()[jose.EdDSA])
	f.Fuzz(func(t *testing.T, token string) {
		mustAgree(t, set, keys, token)
		// What only the signature refuses is where a fuzzer ends; so it is signed anew.
		if parts := strings.Split(token, "."); len(parts) == 3 {
			header, _ := base64.RawURLEncoding.DecodeString(parts[0])
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			mustAgree(t, set, keys, signers()[jose.EdDSA].forge(string(header), string(payload)))
		}
		read, err := verifier.Verify(t.Context(), token)
		if err != nil {
			mustNotQuote(t, err.Error(), token)
		} else if read.Issuer != issuer || !slices.Contains(read.Audience, audience) || !clock.Now().Before(read.Expiry) {
			t.Errorf("accepted %v", read)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	set, _ := everyKey()
	f.Add(set)
	for _, vector := range published().Sets {
		f.Add([]byte(vector.Set))
	}
	f.Add(jwkSet(with(signers()[jose.RS256].public(), "alg", "", "kid", "a"), members{"kty": "oct", "k": "AA"}))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"a","n":"AQ","e":"AQAB"},{"kty":"EC","crv":"P-256","kid":"b"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		ours, err := verify.Keys(text)
		for id, alg := range ours {
			if id == "" || !slices.Contains(verify.Algorithms(), alg) {
				t.Errorf("a key %q for %q", id, alg)
			}
		}
		theirs, refusal := jose.ParseKeySet(text)
		if refusal != nil {
			return // It is for Keyturn's own sets, and so stricter.
		}
		want := map[string]verify.Algorithm{}
		for _, key := range theirs.Keys() {
			want[key.ID()] = verify.Algorithm(key.Algorithm())
		}
		if err != nil || !maps.Equal(want, ours) {
			t.Errorf("internal/jose reads %v, this package %v (error %v)", want, ours, err)
		}
	})
}
