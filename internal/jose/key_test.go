package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
)

func TestParseAlgorithm(t *testing.T) {
	for _, alg := range jose.Algorithms() {
		if got, err := jose.ParseAlgorithm(string(alg)); err != nil || got != alg {
			t.Errorf("%s: got %q, %v", alg, got, err)
		}
	}
	for _, name := range []string{"", "none", "None", "HS256", "HS384", "HS512", "es256", "ES256 ", "ES256K", "Ed25519", "RSA-OAEP"} {
		if got, err := jose.ParseAlgorithm(name); got != "" || !errors.Is(err, jose.ErrAlgorithm) {
			t.Errorf("%q: got %q, %v, want %v", name, got, err, jose.ErrAlgorithm)
		}
	}
}

func TestGeneratedKeys(t *testing.T) {
	tests := map[jose.Algorithm]string{
		jose.ES256: "P-256", jose.ES384: "P-384", jose.ES512: "P-521", jose.EdDSA: "Ed25519",
		jose.RS256: "RSA 2048", jose.PS256: "RSA 2048", jose.RS384: "RSA 3072", jose.RS512: "RSA 4096",
	}
	for alg, want := range tests {
		t.Run(string(alg), func(t *testing.T) {
			key, err := jose.GenerateKey(alg)
			if err != nil {
				t.Fatal(err)
			}
			if got := kind(t, key); got != want || key.Algorithm() != alg {
				t.Errorf("got a key %s for %s, want %s for %s", got, key.Algorithm(), want, alg)
			}
			if want := withKID(string(alg), privateMembers(t, key))["kid"]; key.ID() != want {
				t.Errorf("got ID %s, want the thumbprint %s", key.ID(), want)
			}
			if key.Equal(keys()[alg]) {
				t.Error("the key is one that was made before")
			}
		})
	}
	if _, err := jose.GenerateKey("HS256"); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("HS256: got %v, want %v", err, jose.ErrAlgorithm)
	}
}

// kind tells which key the PEM form holds, as a program without this package sees it.
func kind(t *testing.T, key jose.PrivateKey) string {
	t.Helper()
	switch key := fromPEM(t, key).(type) {
	case *ecdsa.PrivateKey:
		return key.Curve.Params().Name
	case *rsa.PrivateKey:
		return "RSA " + map[int]string{2048: "2048", 3072: "3072", 4096: "4096"}[key.N.BitLen()]
	case ed25519.PrivateKey:
		return "Ed25519"
	default:
		return "unknown"
	}
}

func fromPEM(t testing.TB, key jose.PrivateKey) crypto.Signer {
	t.Helper()
	encoded, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(encoded)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		t.Fatal("not one PEM block of type PRIVATE KEY")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(crypto.Signer)
}

func TestKeysKeepTheirFormThroughParsing(t *testing.T) {
	for alg, key := range keys() {
		t.Run(string(alg), func(t *testing.T) {
			encoded, err := key.JWK()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jose.ParsePrivateKey(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if !parsed.Equal(key) || parsed.Algorithm() != alg {
				t.Error("the private key is another one after parsing")
			}
			if again, err := parsed.JWK(); err != nil || !bytes.Equal(again, encoded) {
				t.Errorf("the private JWK has other bytes after parsing (error %v)", err)
			}
			if !bytes.Equal(mustPEM(t, parsed), mustPEM(t, key)) {
				t.Error("the PEM form has other bytes after parsing")
			}

			public, err := key.Public().JWK()
			if err != nil {
				t.Fatal(err)
			}
			parsedPublic, err := jose.ParsePublicKey(public)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(key.Public(), parsedPublic); diff != "" {
				t.Errorf("the public key is another one after parsing (-want +got):\n%s", diff)
			}
			if again, err := parsedPublic.JWK(); err != nil || !bytes.Equal(again, public) {
				t.Errorf("the public JWK has other bytes after parsing (error %v)", err)
			}
		})
	}
}

func mustPEM(t *testing.T, key jose.PrivateKey) []byte {
	t.Helper()
	encoded, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestPublicHalfHoldsNothingPrivate(t *testing.T) {
	want := map[string][]string{
		"EC":  {"alg", "crv", "kid", "kty", "use", "x", "y"},
		"OKP": {"alg", "crv", "kid", "kty", "use", "x"},
		"RSA": {"alg", "e", "kid", "kty", "n", "use"},
	}
	for alg, key := range keys() {
		public := publicMembers(t, key.Public())
		if diff := cmp.Diff(want[public["kty"]], slices.Sorted(maps.Keys(public))); diff != "" {
			t.Errorf("%s: members of the public JWK (-want +got):\n%s", alg, diff)
		}
		if public["use"] != "sig" || public["alg"] != string(alg) || public["kid"] != key.ID() {
			t.Errorf("%s: got use %s, alg %s, kid %s", alg, public["use"], public["alg"], public["kid"])
		}
	}
}

func TestJWKHasNoWhitespaceAndSortedMembers(t *testing.T) {
	encoded, err := keys()[jose.EdDSA].Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	m := publicMembers(t, keys()[jose.EdDSA].Public())
	want := `{"alg":"EdDSA","crv":"Ed25519","kid":"` + m["kid"] + `","kty":"OKP","use":"sig","x":"` + m["x"] + `"}`
	if diff := cmp.Diff(want, string(encoded)); diff != "" {
		t.Errorf("JWK (-want +got):\n%s", diff)
	}
}

func TestOneKeyForTwoAlgorithmsIsTwoKeys(t *testing.T) {
	rs256, ps256 := keys()[jose.RS256], keys()[jose.PS256]
	if rs256.ID() != ps256.ID() {
		t.Fatal("the test means to compare one RSA key")
	}
	if rs256.Equal(ps256) || rs256.Public().Equal(ps256.Public()) {
		t.Error("keys for RS256 and PS256 are equal")
	}
}

func TestZeroKeysAreNoKeys(t *testing.T) {
	var private jose.PrivateKey
	var public jose.PublicKey
	if !private.IsZero() || !public.IsZero() || !private.Public().IsZero() || keys()[jose.ES256].IsZero() {
		t.Error("IsZero does not tell the zero value from a key")
	}
	if private.ID() != "" || private.Algorithm() != "" || public.ID() != "" {
		t.Error("the zero value has an ID or an algorithm")
	}
	_, errJWK := private.JWK()
	_, errPEM := private.PEM()
	_, errPublic := public.JWK()
	_, errSign := jose.Sign(private, jose.TypeJWT, []byte(`{}`))
	_, errSet := jose.NewKeySet(public).JSON()
	for what, err := range map[string]error{
		"private JWK": errJWK, "PEM": errPEM, "public JWK": errPublic, "Sign": errSign, "key set": errSet,
	} {
		if !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s of no key: got %v, want %v", what, err, jose.ErrKey)
		}
	}
}

type refusal struct {
	jwk  any // marshalled unless it is a string
	want error
}

func (r refusal) text(t *testing.T) string {
	t.Helper()
	if text, ok := r.jwk.(string); ok {
		return text
	}
	return string(encode(t, r.jwk))
}

// refusals are what both private and public keys are refused for.
func refusals(t *testing.T, good func(jose.Algorithm) members) map[string]refusal {
	t.Helper()
	ec, rsaKey, ed := good(jose.ES256), good(jose.RS256), good(jose.EdDSA)
	wide := withKID("RS256", with(rsaKey, "e", b64("\x01\x00\x00\x00\x00\x00\x01\x00\x01"))) // low 64 bits are 65537
	return map[string]refusal{
		"empty text":                 {"", jose.ErrMalformed},
		"not JSON":                   {"{", jose.ErrMalformed},
		"two values":                 {`{}{}`, jose.ErrMalformed},
		"an array":                   {[]members{ec}, jose.ErrMalformed},
		"null":                       {"null", jose.ErrMalformed},
		"not UTF-8":                  {strings.Replace(string(encode(t, ec)), `"alg"`, "\"\xff\":1,\"alg\"", 1), jose.ErrMalformed},
		"longer than the limit":      {string(encode(t, ec)) + strings.Repeat(" ", jose.MaxKeyBytes), jose.ErrTooLarge},
		"a member twice":             {strings.Replace(string(encode(t, ec)), `"alg"`, `"alg":"ES256","alg"`, 1), jose.ErrMalformed},
		"a member twice by escape":   {strings.Replace(string(encode(t, ec)), `"alg"`, `"\u0061lg":"ES256","alg"`, 1), jose.ErrMalformed},
		"no alg":                     {with(ec, "alg", ""), jose.ErrAlgorithm},
		"alg none":                   {with(ec, "alg", "none"), jose.ErrAlgorithm},
		"alg HS256":                  {with(ec, "alg", "HS256"), jose.ErrAlgorithm},
		"alg in another case":        {with(ec, "alg", "es256"), jose.ErrAlgorithm},
		"alg that is a number":       {strings.Replace(string(encode(t, ec)), `"ES256"`, `256`, 1), jose.ErrAlgorithm},
		"alg of another curve":       {with(ec, "alg", "ES384"), jose.ErrAlgorithm},
		"alg of RSA on a curve":      {with(ec, "alg", "RS256"), jose.ErrAlgorithm},
		"alg of EdDSA on a curve":    {with(ec, "alg", "EdDSA"), jose.ErrAlgorithm},
		"alg of a curve on RSA":      {with(rsaKey, "alg", "ES256"), jose.ErrAlgorithm},
		"alg of EdDSA on RSA":        {with(rsaKey, "alg", "EdDSA"), jose.ErrAlgorithm},
		"alg of RSA on Ed25519":      {with(ed, "alg", "PS256"), jose.ErrAlgorithm},
		"alg of a curve on Ed25519":  {with(ed, "alg", "ES256"), jose.ErrAlgorithm},
		"X25519":                     {withKID("EdDSA", with(ed, "crv", "X25519")), jose.ErrAlgorithm},
		"a curve nobody knows":       {withKID("ES256", with(ec, "crv", "P-999")), jose.ErrAlgorithm},
		"no kid":                     {with(ec, "kid", ""), jose.ErrKeyID},
		"kid that is no thumbprint":  {with(ec, "kid", "my-key"), jose.ErrKeyID},
		"kid of another key":         {with(ec, "kid", rsaKey["kid"]), jose.ErrKeyID},
		"use enc":                    {with(ec, "use", "enc"), jose.ErrKey},
		"no kty":                     {with(ec, "kty", ""), jose.ErrMalformed},
		"kty oct":                    {with(ec, "kty", "oct"), jose.ErrMalformed},
		"a symmetric member":         {with(ec, "k", "c2VjcmV0"), jose.ErrKey},
		"more than two primes":       {with(rsaKey, "oth", "AA"), jose.ErrKey},
		"no x":                       {with(ec, "x", ""), jose.ErrMalformed},
		"no n":                       {with(rsaKey, "n", ""), jose.ErrMalformed},
		"RSA below 2048 bits":        {withKID("RS256", with(rsaKey, "n", rsaKey["n"][:340])), jose.ErrKey},
		"RSA above 8192 bits":        {withKID("RS256", with(rsaKey, "n", strings.Repeat("_", 1368))), jose.ErrKey},
		"an even RSA modulus":        {withKID("RS256", with(rsaKey, "n", rsaKey["n"][:340]+"AA")), jose.ErrKey},
		"RSA exponent 3":             {withKID("RS256", with(rsaKey, "e", "Aw")), jose.ErrKey},
		"RSA exponent even":          {withKID("RS256", with(rsaKey, "e", "AQAC")), jose.ErrKey},
		"RSA exponent over 31 bits":  {withKID("RS256", with(rsaKey, "e", b64("\x80\x00\x00\x01"))), jose.ErrKey},
		"RSA exponent over 64 bits":  {wide, jose.ErrKey},
		"RSA modulus with a zero":    {with(rsaKey, "n", b64("\x00"+unb64(t, rsaKey["n"]))), jose.ErrKey},
		"base64url with padding":     {with(ed, "x", ed["x"]+"="), jose.ErrKey},
		"base64url with stray bits":  {with(ed, "x", strayBits(ed["x"])), jose.ErrKey},
		"base64url with a line feed": {with(ed, "x", ed["x"][:20]+"\n"+ed["x"][20:]), jose.ErrKey},
		"x shorter than the curve":   {with(ec, "x", ec["x"][:40]), jose.ErrKey},
		"x shorter than Ed25519":     {with(ed, "x", ed["x"][:40]), jose.ErrKey},
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	tests := refusals(t, func(alg jose.Algorithm) members { return privateMembers(t, keys()[alg]) })
	ec, rsaKey := privateMembers(t, keys()[jose.ES256]), rsaMembers("RS256")
	ed := privateMembers(t, keys()[jose.EdDSA])
	another, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	ec2, rsa2 := privateMembers(t, another), otherRSAMembers("RS256")
	maps.Copy(tests, map[string]refusal{
		"a public key":                  {publicMembers(t, keys()[jose.ES256].Public()), jose.ErrKey},
		"halves of two EC keys":         {with(ec, "d", ec2["d"]), jose.ErrKeyID},
		"x and kid of another EC key":   {with(ec, "x", ec2["x"], "y", ec2["y"], "kid", ec2["kid"]), jose.ErrKeyID},
		"y of another EC key":           {with(ec, "y", ec2["y"]), jose.ErrKey},
		"halves of two Ed25519 keys":    {with(ed, "d", ec["d"]), jose.ErrKeyID},
		"x of another Ed25519 key":      {with(ed, "x", ec["x"]), jose.ErrKey},
		"d of another RSA key":          {with(rsaKey, "d", rsa2["d"]), jose.ErrKey},
		"p of another RSA key":          {with(rsaKey, "p", rsa2["p"]), jose.ErrKey},
		"n and kid of another RSA key":  {with(rsaKey, "n", rsa2["n"], "kid", rsa2["kid"]), jose.ErrKey},
		"dp of another RSA key":         {with(rsaKey, "dp", rsa2["dp"]), jose.ErrKey},
		"qi of another RSA key":         {with(rsaKey, "qi", rsa2["qi"]), jose.ErrKey},
		"RSA without primes":            {with(rsaKey, "p", "", "q", ""), jose.ErrKey},
		"RSA without CRT values":        {with(rsaKey, "dp", "", "dq", "", "qi", ""), jose.ErrKey},
		"EC d of zero":                  {with(ec, "d", b64(strings.Repeat("\x00", 32))), jose.ErrKey},
		"EC d beyond the order":         {with(ec, "d", b64(strings.Repeat("\xff", 32))), jose.ErrKey},
		"EC d without its leading zero": {with(ec, "d", ec["d"][:40]), jose.ErrKey},
		"Ed25519 d too short":           {with(ed, "d", ed["d"][:40]), jose.ErrKey},
		"a key set":                     {map[string]any{"keys": []members{ec}}, jose.ErrAlgorithm},
	})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := test.text(t)
			key, err := jose.ParsePrivateKey([]byte(text))
			if !errors.Is(err, test.want) || !key.IsZero() {
				t.Fatalf("got %v, %v, want %v", key, err, test.want)
			}
			mustNotQuote(t, err, text)
		})
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	tests := refusals(t, func(alg jose.Algorithm) members { return publicMembers(t, keys()[alg].Public()) })
	ec, rsaKey := publicMembers(t, keys()[jose.ES256].Public()), publicMembers(t, keys()[jose.RS256].Public())
	tests["a private key on a curve"] = refusal{privateMembers(t, keys()[jose.ES256]), jose.ErrKey}
	tests["a private Ed25519 key"] = refusal{privateMembers(t, keys()[jose.EdDSA]), jose.ErrKey}
	tests["a point beside the curve"] = refusal{withKID("ES256", with(ec, "y", ec["x"])), jose.ErrKey}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		tests["the private RSA member "+name] = refusal{with(rsaKey, name, rsaMembers("RS256")[name]), jose.ErrKey}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := test.text(t)
			key, err := jose.ParsePublicKey([]byte(text))
			if !errors.Is(err, test.want) || !key.IsZero() {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			mustNotQuote(t, err, text)
		})
	}
}

func TestMembersThatNobodyKnowsAreIgnored(t *testing.T) {
	key := keys()[jose.ES256]
	parsed, err := jose.ParsePrivateKey(encode(t, with(privateMembers(t, key), "use", "", "x5c", "AA", "key_ops", "AA", "Alg", "none")))
	if err != nil || !parsed.Equal(key) {
		t.Errorf("private key: got %v, %v", parsed, err)
	}
	public, err := jose.ParsePublicKey(encode(t, with(publicMembers(t, key.Public()), "use", "", "x5c", "AA", "key_ops", "AA", "D", "AA")))
	if err != nil || !public.Equal(key.Public()) {
		t.Errorf("public key: got %v, %v", public.ID(), err)
	}
}
