package verify_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func TestTokensOfEveryAlgorithmAreAcceptedAndSayWhatWasSigned(t *testing.T) {
	for alg, signer := range signers() {
		t.Run(string(alg), func(t *testing.T) {
			want := &verify.Token{
				KeyID: signer.id(), Algorithm: verify.Algorithm(alg), Type: verify.TypeJWT,
				Issuer: issuer, Subject: "alice", ID: "one", Audience: []string{audience, "other"},
				IssuedAt: start().UTC(), NotBefore: start().Add(-time.Minute).UTC(), Expiry: start().Add(time.Hour).UTC(),
				Scopes: []string{"orders.read", "orders.write"}, Claims: json.RawMessage(claims()),
			}
			got, err := accepting(t, newClock(), signer).Verify(t.Context(), signer.sign(claims()))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEd25519IsAnotherNameOfEdDSA(t *testing.T) {
	ed, es := signers()[jose.EdDSA], signers()[jose.ES256]
	named := func(s signer) string { return s.forge(fmt.Sprintf(`{"alg":"Ed25519","kid":%q}`, s.id()), claims()) }
	got, err := accepting(t, newClock(), ed).Verify(t.Context(), named(ed))
	if err != nil || got.Algorithm != verify.EdDSA {
		t.Errorf("got %v, %v (RFC 9864 section 2.2)", got, err)
	}
	if _, err := accepting(t, newClock(), es).Verify(t.Context(), named(es)); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("a token of another key: %v", err)
	}
}

func TestSignaturesOfTheRFCs(t *testing.T) {
	for _, vector := range published().Signatures {
		t.Run(vector.Source, func(t *testing.T) {
			public := members{"kid": "rfc", "alg": vector.Alg}
			for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
				if value, present := vector.Key[name]; present {
					public[name] = value
				}
			}
			set := jwkSet(public)
			signature, err := base64.RawURLEncoding.DecodeString(vector.Signature)
			if err != nil {
				t.Fatal(err)
			}
			for _, alg := range verify.Algorithms() {
				if got, want := verify.Verifies(set, "rfc", alg, []byte(vector.Input), signature), string(alg) == vector.Alg; got != want {
					t.Errorf("as %s: verifies is %v, want %v", alg, got, want)
				}
			}
			if verify.Verifies(set, "rfc", verify.Algorithm(vector.Alg), []byte(vector.Input+"A"), signature) {
				t.Error("the signature verifies over another text")
			}
		})
	}
}

func TestTokensOfTheRFCsThatAreRefused(t *testing.T) {
	want := map[string]error{"algorithm": verify.ErrAlgorithm, "malformed": verify.ErrMalformed}
	set, _ := everyKey()
	for _, vector := range published().Refused {
		if _, err := verify.Read(vector.Token, set); !errors.Is(err, want[vector.Refusal]) {
			t.Errorf("%s, %s: got %v, want %v", vector.Source, vector.What, err, want[vector.Refusal])
		}
	}
}

func TestKeySetsOfTheRFCs(t *testing.T) {
	for _, vector := range published().Sets {
		keys, err := verify.Keys(vector.Set)
		if diff := cmp.Diff(vector.Keys, keys); diff != "" || (err != nil) != (vector.Keys == nil) {
			t.Errorf("%s, %s: error %v, keys (-want +got):\n%s", vector.Source, vector.What, err, diff)
		}
	}
}

func TestTokensAreJudgedByTheirIssuersTerms(t *testing.T) {
	mine, theirs := signers()[jose.ES256], signers()[jose.RS256]
	unread := newSigner(jose.ES256)
	const other = "https://other.example.com"
	tests := map[string]struct {
		token string
		after time.Duration
		want  error
	}{
		"mine":                                     {mine.sign(claims()), 0, nil},
		"theirs":                                   {theirs.sign(claims("iss", `"`+other+`"`, "aud", `"theirs"`)), 0, nil},
		"one audience as a text":                   {mine.sign(claims("aud", `"`+audience+`"`)), 0, nil},
		"without sub, jti, iat and nbf":            {mine.sign(claims("sub", "", "jti", "", "iat", "", "nbf", "")), 0, nil},
		"a fraction before exp":                    {mine.sign(claims()), 3600*time.Second + 29*time.Second + 999*time.Millisecond, nil},
		"at exp and the skew":                      {mine.sign(claims()), 3600*time.Second + 30*time.Second, verify.ErrExpired},
		"at a fractional exp":                      {mine.sign(claims("exp", "1800000000.5")), 30*time.Second + 500*time.Millisecond, verify.ErrExpired},
		"at nbf, less the skew":                    {mine.sign(claims("nbf", "1800000030")), 0, nil},
		"before nbf":                               {mine.sign(claims("nbf", "1800000031")), 0, verify.ErrNotYetValid},
		"issued in the future":                     {mine.sign(claims("iat", "1800003000")), 0, nil},
		"exp in the last second of all":            {mine.sign(claims("exp", "253402300799")), 0, nil},
		"no exp":                                   {mine.sign(claims("exp", "")), 0, verify.ErrMalformed},
		"exp 0":                                    {mine.sign(claims("exp", "0")), 0, verify.ErrExpired},
		"no aud":                                   {mine.sign(claims("aud", "")), 0, verify.ErrAudience},
		"aud of nobody":                            {mine.sign(claims("aud", `[]`)), 0, verify.ErrAudience},
		"aud of somebody else":                     {mine.sign(claims("aud", `"other"`)), 0, verify.ErrAudience},
		"aud in another case":                      {mine.sign(claims("aud", `"https://API.example.com"`)), 0, verify.ErrAudience},
		"aud of the other issuer":                  {mine.sign(claims("aud", `"theirs"`)), 0, verify.ErrAudience},
		"no iss":                                   {mine.sign(claims("iss", "")), 0, verify.ErrIssuer},
		"iss of nobody":                            {mine.sign(claims("iss", `"https://evil.example.com"`)), 0, verify.ErrIssuer},
		"iss with a slash more":                    {mine.sign(claims("iss", `"`+issuer+`/"`)), 0, verify.ErrIssuer},
		"signed by the other issuer":               {theirs.sign(claims()), 0, verify.ErrUnknownKey},
		"in the other issuer's name":               {mine.sign(claims("iss", `"`+other+`"`, "aud", `"theirs"`)), 0, verify.ErrUnknownKey},
		"signed by nobody":                         {unread.sign(claims()), 0, verify.ErrUnknownKey},
		"signed by nobody with a known kid":        {unread.forge(mine.header(""), claims()), 0, verify.ErrSignature},
		"an algorithm that is not the issuer's":    {signers()[jose.EdDSA].sign(claims()), 0, verify.ErrAlgorithm},
		"typ at+jwt":                               {mine.forge(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"AT+JWT"}`, mine.id()), claims()), 0, nil},
		"typ with the prefix of media types":       {mine.forge(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"application/at+jwt"}`, mine.id()), claims()), 0, nil},
		"no typ":                                   {mine.forge(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, mine.id()), claims()), 0, nil},
		"typ of a logout token":                    {mine.forge(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"logout+jwt"}`, mine.id()), claims()), 0, verify.ErrType},
		"JWT where only access tokens are enough":  {theirs.forge(theirs.header(""), claims("iss", `"`+other+`/at"`)), 0, verify.ErrType},
		"no typ where only access tokens are fine": {theirs.forge(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, theirs.id()), claims("iss", `"`+other+`/at"`)), 0, verify.ErrType},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			verifier := newVerifier(t, verify.Options{Clock: clock.Now, ClockSkew: 30 * time.Second, Issuers: []verify.Issuer{
				{
					Name: issuer, Audiences: []string{"unused", audience}, Algorithms: []verify.Algorithm{verify.ES256, verify.RS256},
					Keys: verify.File{Path: writeFile(t, jwks(mine, signers()[jose.EdDSA]))},
				},
				{Name: other, Audiences: []string{"theirs"}, Keys: verify.File{Path: writeFile(t, jwks(theirs))}},
				{
					Name: other + "/at", Audiences: []string{audience}, Types: []string{"application/AT+jwt"},
					Keys: verify.File{Path: writeFile(t, jwks(theirs))},
				},
			}})
			clock.step(test.after)
			token, err := verifier.Verify(t.Context(), test.token)
			if !errors.Is(err, test.want) || (token == nil) != (test.want != nil) {
				t.Fatalf("got %v, %v, want %v", token, err, test.want)
			}
			if err != nil {
				mustNotQuote(t, err.Error(), test.token)
			}
		})
	}
}

func TestScopesAreTheWordsOfATextAlone(t *testing.T) {
	signer := signers()[jose.EdDSA]
	verifier := accepting(t, newClock(), signer)
	for value, want := range map[string][]string{
		`"a b"`: {"a", "b"}, `" a  b "`: {"a", "b"}, `""`: {}, `["a"]`: nil, `{"a":1}`: nil, `7`: nil, ``: nil,
	} {
		token, err := verifier.Verify(t.Context(), signer.sign(claims("scope", value)))
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(append([]string{}, want...), append([]string{}, token.Scopes...)) {
			t.Errorf("%s: got %q, want %q", value, token.Scopes, want)
		}
		if err := token.Require("b"); (err == nil) != token.HasScope("b") || err != nil && !errors.Is(err, verify.ErrScope) {
			t.Errorf("%s: requiring b: %v", value, err)
		}
	}
}

func TestATokenPrintsNoneOfItsOtherClaims(t *testing.T) {
	signer := signers()[jose.EdDSA]
	compact := signer.sign(claims("email", `"alice@secret.example"`))
	token, err := accepting(t, newClock(), signer).Verify(t.Context(), compact)
	if err != nil {
		t.Fatal(err)
	}
	want := `token "one" of "https://orders.example.com" for "alice"`
	for _, text := range []string{fmt.Sprint(token), fmt.Sprintf("%+v", token)} {
		if text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	if got := token.LogValue().String(); !cmp.Equal(got, fmt.Sprintf("[issuer=%s subject=alice id=one keyID=%s expiry=%v]",
		issuer, signer.id(), token.Expiry)) {
		t.Errorf("logged as %s", got)
	}
}

func TestOptionsThatCannotWorkAreRefusedByName(t *testing.T) {
	good := verify.Issuer{Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: "jwks.json"}}
	change := func(change func(*verify.Issuer)) verify.Options {
		issuer := good
		change(&issuer)
		return verify.Options{Issuers: []verify.Issuer{issuer}}
	}
	keys := func(source verify.KeySource) verify.Options {
		return change(func(i *verify.Issuer) { i.Keys = source })
	}
	some := []verify.Issuer{good}
	for name, test := range map[string]struct {
		options verify.Options
		says    string
	}{
		"no issuer":              {verify.Options{}, "Issuers is empty"},
		"an issuer twice":        {verify.Options{Issuers: []verify.Issuer{good, good}}, "Issuers[1]: Name"},
		"a name of nothing":      {change(func(i *verify.Issuer) { i.Name = "" }), "Issuers[0]: Name"},
		"no audience":            {change(func(i *verify.Issuer) { i.Audiences = nil }), "Audiences"},
		"an audience of nothing": {change(func(i *verify.Issuer) { i.Audiences = []string{"a", ""} }), "Audiences"},
		"no keys":                {keys(nil), "Keys is not set"},
		"HS256":                  {change(func(i *verify.Issuer) { i.Algorithms = []verify.Algorithm{"ES256", "HS256"} }), `"HS256"`},
		"none":                   {change(func(i *verify.Issuer) { i.Algorithms = []verify.Algorithm{"none"} }), `"none"`},
		"a skew below 0":         {verify.Options{Issuers: some, ClockSkew: -1}, "ClockSkew"},
		"a skew of an hour":      {verify.Options{Issuers: some, ClockSkew: time.Hour}, "5m0s"},
		"a negative cache":       {verify.Options{Issuers: some, CacheSize: -1}, "CacheSize"},
		"a realm with a quote":   {verify.Options{Issuers: some, Realm: `a"b`}, "Realm"},
		"a realm of two lines":   {verify.Options{Issuers: some, Realm: "a\r\nb"}, "Realm"},
		"no path":                {keys(verify.File{}), "Path"},
		"stale for days":         {keys(verify.File{Path: "a", MaxStale: 48 * time.Hour}), "24h0m0s"},
		"http":                   {keys(verify.URL{URL: "http://localhost/jwks.json"}), "https"},
		"no URL":                 {keys(verify.URL{}), "URL"},
		"a URL with a user":      {keys(verify.URL{URL: "https://alice@example.com/"}), "user"},
		"a cache of a second":    {keys(verify.URL{URL: issuer, Fetch: verify.Fetch{CacheDuration: time.Second}}), "CacheDuration"},
		"a cache of days":        {keys(verify.URL{URL: issuer, Fetch: verify.Fetch{CacheDuration: 48 * time.Hour}}), "CacheDuration"},
		"discovery with a query": {change(func(i *verify.Issuer) {
			i.Name, i.Keys = issuer+"?a=b", verify.Discovery{}
		}), "query"},
		"discovery of a name": {change(func(i *verify.Issuer) {
			i.Name, i.Keys = "orders", verify.Discovery{}
		}), "Name is not an https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify.New(test.options)
			if err == nil || !containsText(err, test.says) {
				t.Errorf("got %v, want an error that says %s", err, test.says)
			}
		})
	}
}
