package verify_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func TestKeysThatAreNoUseAreSkipped(t *testing.T) {
	ec, p384, rs, ed := signers()[jose.ES256].public(), signers()[jose.ES384].public(), signers()[jose.RS256].public(), signers()[jose.EdDSA].public()
	named := func(from members, changes ...string) members { return with(with(from, "kid", "k"), changes...) }
	for name, test := range map[string]struct {
		key  any
		want verify.Algorithm // empty if the key is skipped
	}{
		"a kid that is no thumbprint":       {named(ec), verify.ES256},
		"no alg, P-256":                     {named(ec, "alg", ""), verify.ES256},
		"no alg, P-384":                     {named(p384, "alg", ""), verify.ES384},
		"no alg, Ed25519":                   {named(ed, "alg", ""), verify.EdDSA},
		"no alg, RSA":                       {named(rs, "alg", ""), verify.RS256},
		"RSA for PS384":                     {named(rs, "alg", "PS384"), verify.PS384},
		"no use":                            {named(ec, "use", ""), verify.ES256},
		"members that nobody knows":         {named(ec, "x5c", "AA", "D", "AA", "exp", "1"), verify.ES256},
		"no kid":                            {named(ec, "kid", ""), ""},
		"for encryption":                    {named(rs, "use", "enc"), ""},
		"RSA-OAEP":                          {named(rs, "alg", "RSA-OAEP"), ""},
		"HS256 with an RSA key":             {named(rs, "alg", "HS256"), ""},
		"none":                              {named(rs, "alg", "none"), ""},
		"alg of another case":               {named(rs, "alg", "rs256"), ""},
		"alg that is no text":               {map[string]any{"kty": "RSA", "kid": "k", "n": rs["n"], "e": rs["e"], "alg": 256}, ""},
		"ES384 with P-256":                  {named(ec, "alg", "ES384"), ""},
		"ES256 with P-384":                  {named(p384, "alg", "ES256"), ""},
		"ES256 with RSA":                    {named(rs, "alg", "ES256"), ""},
		"RS256 with P-256":                  {named(ec, "alg", "RS256"), ""},
		"RS256 with Ed25519":                {named(ed, "alg", "RS256"), ""},
		"secp256k1":                         {named(ec, "crv", "secp256k1", "alg", "ES256K"), ""},
		"X25519":                            {named(ed, "crv", "X25519"), ""},
		"a kind nobody knows":               {named(ec, "kty", "AKP"), ""},
		"no kty":                            {named(ec, "kty", ""), ""},
		"RSA below 2048 bits":               {named(rs, "n", rs["n"][:336]+"AAAB"), ""},
		"RSA above 8192 bits":               {named(rs, "n", strings.Repeat("_", 1368)), ""},
		"an even modulus":                   {named(rs, "n", rs["n"][:340]+"AA"), ""},
		"a modulus with a zero before":      {named(rs, "n", b64("\x00"+unb64(rs["n"]))), ""},
		"exponent 3":                        {named(rs, "e", "Aw"), ""},
		"exponent 1":                        {named(rs, "e", "AQ"), ""},
		"an even exponent":                  {named(rs, "e", "AQAC"), ""},
		"an exponent over 31 bits":          {named(rs, "e", b64("\x80\x00\x00\x01")), ""},
		"an exponent over 64 bits":          {named(rs, "e", b64("\x01\x00\x00\x00\x00\x00\x01\x00\x01")), ""},
		"an exponent with a zero before":    {named(rs, "e", b64("\x00\x01\x00\x01")), ""},
		"x with padding":                    {named(ed, "x", ed["x"]+"="), ""},
		"x with a line break":               {named(ed, "x", ed["x"][:20]+"\n"+ed["x"][20:]), ""},
		"x with stray bits":                 {named(ed, "x", ed["x"][:42]+strayBits(ed["x"][42])), ""},
		"x too short":                       {named(ec, "x", ec["x"][:40]), ""},
		"x with a zero before":              {named(ec, "x", b64("\x00"+unb64(ec["x"]))), ""},
		"no y":                              {named(ec, "y", ""), ""},
		"a point beside the curve":          {named(ec, "y", ec["x"]), ""},
		"the point of nowhere":              {named(ec, "x", b64(strings.Repeat("\x00", 32)), "y", b64(strings.Repeat("\x00", 32))), ""},
		"Ed25519 too short":                 {named(ed, "x", ed["x"][:40]), ""},
		"numbers where texts should be":     {map[string]any{"kty": 1, "crv": 2, "x": 3, "y": 4, "kid": "k"}, ""},
		"a key for P-521 with half a point": {named(signers()[jose.ES512].public(), "y", ec["y"]), ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]verify.Algorithm{ed["kid"]: verify.EdDSA}
			if test.want != "" {
				want["k"] = test.want
			}
			got, err := verify.Keys(jwkSet(test.key, ed))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetsAreRefusedWhole(t *testing.T) {
	ec, rs := signers()[jose.ES256].public(), signers()[jose.RS256].public()
	text := func(documents ...any) string { return string(jwkSet(documents...)) }
	crowd := make([]any, 101)
	for i := range crowd {
		crowd[i] = members{"kty": "none"}
	}
	tests := map[string]struct{ text, says string }{
		"nothing":                 {"", "JSON"},
		"half":                    {text(ec)[:50], "JSON"},
		"an array":                {"[]", "JSON"},
		"not UTF-8":               {`{"a":"` + "\xff" + `","keys":[]}`, "JSON"},
		"no keys":                 {"{}", "keys"},
		"keys null":               {`{"keys":null}`, "keys"},
		"keys in another case":    {`{"Keys":[]}`, "keys"},
		"keys twice":              {`{"keys":[],` + text(ec)[1:], "once"},
		"a member of a key twice": {strings.Replace(text(ec), `"kid"`, `"kid":"a","kid"`, 1), "once"},
		"a key that is no object": {text(ec, "text"), "keys[1]"},
		"a key of null":           {text(ec, nil), "keys[1]"},
		"a kid twice":             {text(ec, with(rs, "kid", ec["kid"])), "same kid"},
		"a secret":                {text(ec, members{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"}), "jwks.json"},
		"too many":                {text(crowd...), "100"},
		"too long":                {text(ec) + strings.Repeat(" ", 64<<10), "65536"},
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		tests["private "+name] = struct{ text, says string }{text(ec, with(rs, name, "AQAB")), "private member " + name}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := verify.Keys([]byte(test.text))
			if err == nil || !containsText(err, test.says) {
				t.Errorf("got %v, %v, want an error that says %s", got, err, test.says)
			}
		})
	}
}

func TestNothingButTheStandardLibraryIsNeeded(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	var complaint bytes.Buffer
	command.Stderr = &complaint
	listed, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	if got := strings.Fields(string(listed)); !cmp.Equal(got, []string{"github.com/keyturn/keyturn/pkg/verify"}) {
		t.Errorf("the package needs %v", got)
	}
}
