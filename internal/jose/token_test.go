package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
)

const someClaims = `{"iss":"https://issuer.example/a/b","sub":"system:serviceaccount:a:b","aud":["x","y"],` +
	`"iat":1700000000,"nbf":1699999940,"exp":1700003600,"jti":"id-1","extra":{"deep":[1,"two",null]}}`

func allKeys() jose.KeySet {
	return jose.NewKeySet(publicKeys(jose.ES256, jose.ES384, jose.ES512, jose.EdDSA)...)
}

func TestSignedTokensVerifyAndSayWhatWasSigned(t *testing.T) {
	for alg, key := range keys() {
		t.Run(string(alg), func(t *testing.T) {
			want := jose.Token{
				KeyID: key.ID(), Algorithm: alg, Type: jose.TypeJWT,
				Issuer: "https://issuer.example/a/b", Subject: "system:serviceaccount:a:b", ID: "id-1",
				Audience: []string{"x", "y"},
				IssuedAt: time.Unix(1700000000, 0).UTC(), NotBefore: time.Unix(1699999940, 0).UTC(), Expiry: time.Unix(1700003600, 0).UTC(),
				Claims: json.RawMessage(someClaims),
			}
			compact := sign(t, key, someClaims)
			verified, err := jose.Verify(compact, jose.NewKeySet(key.Public()))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, verified); diff != "" {
				t.Errorf("verified token (-want +got):\n%s", diff)
			}
			if verified.Expiry.Location() != time.UTC || verified.IssuedAt.Location() != time.UTC || verified.NotBefore.Location() != time.UTC {
				t.Error("a time is not in UTC")
			}
			parsed, err := jose.Parse(compact)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, parsed); diff != "" {
				t.Errorf("parsed token (-want +got):\n%s", diff)
			}
			header := unb64(t, strings.Split(compact, ".")[0])
			if want := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, key.ID()); header != want {
				t.Errorf("got header %s, want %s", header, want)
			}
		})
	}
}

func hashed(alg jose.Algorithm, text string) (crypto.Hash, []byte) {
	switch alg[2:] {
	case "256":
		sum := sha256.Sum256([]byte(text))
		return crypto.SHA256, sum[:]
	case "384":
		sum := sha512.Sum384([]byte(text))
		return crypto.SHA384, sum[:]
	default:
		sum := sha512.Sum512([]byte(text))
		return crypto.SHA512, sum[:]
	}
}

// plainVerify is RFC 7518 section 3 and RFC 8037 section 3.1 in package crypto alone.
func plainVerify(alg jose.Algorithm, public crypto.PublicKey, text, signature string) bool {
	hash, digest := hashed(alg, text)
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		if half != (public.Curve.Params().BitSize+7)/8 {
			return false
		}
		r, s := new(big.Int).SetBytes([]byte(signature[:half])), new(big.Int).SetBytes([]byte(signature[half:]))
		return ecdsa.Verify(public, digest, r, s)
	case *rsa.PublicKey:
		if alg[0] == 'P' {
			options := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.VerifyPSS(public, hash, digest, []byte(signature), &options) == nil
		}
		return rsa.VerifyPKCS1v15(public, hash, digest, []byte(signature)) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, []byte(text), []byte(signature))
	default:
		return false
	}
}

func plainSign(t testing.TB, alg jose.Algorithm, private crypto.Signer, text string) string {
	t.Helper()
	hash, digest := hashed(alg, text)
	var signature []byte
	var err error
	switch private := private.(type) {
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, digest); err == nil {
			size := (private.Curve.Params().BitSize + 7) / 8
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case *rsa.PrivateKey:
		if alg[0] == 'P' {
			signature, err = rsa.SignPSS(rand.Reader, private, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, private, hash, digest)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(signature)
}

func TestSignaturesAgreeWithPlainCrypto(t *testing.T) {
	for alg, key := range keys() {
		t.Run(string(alg), func(t *testing.T) {
			private := fromPEM(t, key)
			compact := sign(t, key, someClaims)
			dot := strings.LastIndexByte(compact, '.')
			if !plainVerify(alg, private.Public(), compact[:dot], unb64(t, compact[dot+1:])) {
				t.Error("package crypto refuses a token signed here")
			}
			text := b64(fmt.Sprintf(`{"typ":"JWT","kid":%q,"alg":%q}`, key.ID(), alg)) + "." + b64(someClaims)
			theirs := text + "." + b64(plainSign(t, alg, private, text))
			if _, err := jose.Verify(theirs, jose.NewKeySet(key.Public())); err != nil {
				t.Errorf("a token signed by package crypto is refused: %v", err)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	tests := map[string]struct {
		typ, claims string
		want        error
	}{
		"claims that are empty":        {"JWT", "", jose.ErrMalformed},
		"claims that are not JSON":     {"JWT", "{", jose.ErrMalformed},
		"claims that are an array":     {"JWT", "[]", jose.ErrMalformed},
		"a claim twice":                {"JWT", `{"secret-name":1,"secret-name":2}`, jose.ErrMalformed},
		"exp that is a text":           {"JWT", `{"exp":"1700000000"}`, jose.ErrMalformed},
		"no typ":                       {"", `{}`, jose.ErrHeader},
		"claims longer than the limit": {"JWT", `{"a":"` + strings.Repeat("a", jose.MaxTokenBytes*3/4) + `"}`, jose.ErrTooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			token, err := jose.Sign(keys()[jose.ES256], test.typ, []byte(test.claims))
			if !errors.Is(err, test.want) || token.Reveal() != "" {
				t.Fatalf("got %v, %v, want %v", token, err, test.want)
			}
			mustNotQuote(t, err, test.claims)
		})
	}
}

func TestTokenWithFourKiBOfClaimsFits(t *testing.T) {
	claims := strings.TrimSuffix(someClaims, "}") + `,"more":{"a":"` + strings.Repeat("a", 4<<10) + `"}}`
	for alg, key := range keys() {
		if _, err := jose.Verify(sign(t, key, claims), jose.NewKeySet(key.Public())); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestTypIsReadWithoutRegardToCase(t *testing.T) {
	key := keys()[jose.EdDSA]
	tests := map[string]string{
		`,"typ":"JWT"`: jose.TypeJWT, `,"typ":"jwt"`: jose.TypeJWT, `,"typ":"application/JWT"`: jose.TypeJWT,
		`,"typ":"at+jwt"`: jose.TypeAccessToken, `,"typ":"AT+JWT"`: jose.TypeAccessToken,
		`,"typ":"Application/at+jwt"`: jose.TypeAccessToken,
		`,"typ":"logout+jwt"`:         "logout+jwt", `,"typ":""`: "", ``: "",
	}
	for member, want := range tests {
		header := fmt.Sprintf(`{"alg":"EdDSA","kid":%q%s}`, key.ID(), member)
		token, err := jose.Verify(forge(t, key, header, `{}`), allKeys())
		if err != nil || token.Type != want {
			t.Errorf("%s: got %q, %v, want %q", member, token.Type, err, want)
		}
	}
}

func TestAccessTokensAreSignedWithTheirType(t *testing.T) {
	signed, err := jose.Sign(keys()[jose.ES256], jose.TypeAccessToken, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Verify(signed.Reveal(), allKeys())
	if err != nil || token.Type != jose.TypeAccessToken {
		t.Errorf("got %q, %v", token.Type, err)
	}
}

func TestClaimsOfOneMeaning(t *testing.T) {
	at := func(second, nanosecond int64) time.Time { return time.Unix(second, nanosecond).UTC() }
	tests := map[string]struct {
		claims string
		want   jose.Token
	}{
		"no claims":                      {`{}`, jose.Token{}},
		"an audience of one text":        {`{"aud":"x"}`, jose.Token{Audience: []string{"x"}}},
		"an audience of an array":        {`{"aud":["x"]}`, jose.Token{Audience: []string{"x"}}},
		"an audience of nobody":          {`{"aud":[]}`, jose.Token{Audience: []string{}}},
		"a fraction of a second":         {`{"exp":1700000000.25}`, jose.Token{Expiry: at(1700000000, 250e6)}},
		"a fraction that no float has":   {`{"exp":1700000000.1}`, jose.Token{Expiry: at(1700000000, 100e6)}},
		"a fraction in full":             {`{"exp":1700000000.123456}`, jose.Token{Expiry: at(1700000000, 123456e3)}},
		"an exponent":                    {`{"iat":17e8}`, jose.Token{IssuedAt: at(1700000000, 0)}},
		"the epoch, which is not absent": {`{"nbf":0}`, jose.Token{NotBefore: at(0, 0)}},
		"the last second of 9999":        {`{"exp":253402300799}`, jose.Token{Expiry: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}},
		"names in another case":          {`{"EXP":1,"Iss":2,"sub":"a"}`, jose.Token{Subject: "a"}},
		"text with escapes":              {`{"sub":"\u0061\n\"é"}`, jose.Token{Subject: "a\n\"é"}},
		"a name with escapes":            {`{"\u0073ub":"a"}`, jose.Token{Subject: "a"}},
		"whitespace":                     {" {\r\n\t\"sub\" : \"a\" } ", jose.Token{Subject: "a"}},
		"one name in two objects":        {`{"a":{"b":1},"c":[{"b":1},{"b":2}],"b":{}}`, jose.Token{}},
		"braces in texts":                {`{"a":"{\"sub\":\"x\"}","b":"\\","sub":"y"}`, jose.Token{Subject: "y"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			key := keys()[jose.EdDSA]
			test.want.KeyID, test.want.Algorithm, test.want.Type = key.ID(), jose.EdDSA, jose.TypeJWT
			test.want.Claims = json.RawMessage(test.claims)
			got, err := jose.Verify(sign(t, key, test.claims), allKeys())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeadersWithoutMeaningAreIgnored(t *testing.T) {
	key := keys()[jose.EdDSA]
	header := fmt.Sprintf(`{"x5t":"AA","cty":"x","alg":"EdDSA","ALG":"none","Crit":["exp"],"kid":%q,"nonce":1}`, key.ID())
	if _, err := jose.Verify(forge(t, key, header, `{}`), allKeys()); err != nil {
		t.Error(err)
	}
}
