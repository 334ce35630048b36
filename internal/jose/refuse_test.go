package jose_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

// Each token below carries a true signature of the key over its own text where it can: what is refused is the token's
// form, and a missing check would let it verify.

type tokenRefusal struct {
	compact string
	want    error
	says    string
}

func TestTokensAreRefusedForTheirText(t *testing.T) {
	good := sign(t, keys()[jose.EdDSA], someClaims)
	parts := strings.Split(good, ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	tests := map[string]tokenRefusal{
		"empty":                       {"", jose.ErrMalformed, "three parts"},
		"one part":                    {header, jose.ErrMalformed, "three parts"},
		"no signature":                {header + "." + payload, jose.ErrMalformed, "three parts"},
		"an empty signature":          {header + "." + payload + ".", jose.ErrMalformed, "signature"},
		"an empty payload":            {header + ".." + signature, jose.ErrMalformed, "payload"},
		"an empty header":             {"." + payload + "." + signature, jose.ErrMalformed, "header"},
		"a fourth part":               {good + ".", jose.ErrMalformed, "three parts"},
		"five parts as JWE has":       {good + ".AA.AA", jose.ErrMalformed, "three parts"},
		"a space before":              {" " + good, jose.ErrMalformed, "base64url"},
		"a line feed after":           {good + "\n", jose.ErrMalformed, "base64url"},
		"a line break in a part":      {header + "." + payload[:8] + "\r\n" + payload[8:] + "." + signature, jose.ErrMalformed, "base64url"},
		"padding":                     {good + "==", jose.ErrMalformed, "base64url"},
		"stray bits":                  {header + "." + payload + "." + strayBits(signature), jose.ErrMalformed, "base64url"},
		"the other base64 alphabet":   {header + "." + payload + ".+" + signature[1:], jose.ErrMalformed, "base64url"},
		"JSON serialization":          {fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, header, signature), jose.ErrMalformed, "three parts"},
		"a scheme before the token":   {"Bearer " + good, jose.ErrMalformed, "base64url"},
		"longer than the limit":       {good + strings.Repeat("A", jose.MaxTokenBytes), jose.ErrTooLarge, "16384"},
		"another payload":             {header + "." + b64(`{"sub":"admin"}`) + "." + signature, jose.ErrSignature, ""},
		"a signature of other length": {header + "." + payload + "." + signature[:84], jose.ErrSignature, ""},
	}
	mustRefuse(t, tests, allKeys())
}

func TestTokensAreRefusedForTheirHeader(t *testing.T) {
	key := keys()[jose.EdDSA]
	jwk := string(encode(t, publicMembers(t, key.Public())))
	header := func(more string) string { return fmt.Sprintf(`{"alg":"EdDSA","kid":%q%s}`, key.ID(), more) }
	kid := fmt.Sprintf(`"kid":%q`, key.ID())
	tests := map[string]tokenRefusal{}
	for name, member := range map[string]string{
		"jku": `"https://attacker.example/jwks.json"`, "x5u": `"https://attacker.example/cert.pem"`, "jwk": jwk, "x5c": `["AA"]`,
		"crit": `["exp"]`, "b64": `false`,
	} {
		compact := forge(t, key, header(fmt.Sprintf(`,%q:%s`, name, member)), `{}`)
		tests["with "+name] = tokenRefusal{compact, jose.ErrHeader, name}
		tests["with a null "+name] = tokenRefusal{forge(t, key, header(fmt.Sprintf(`,%q:null`, name)), `{}`), jose.ErrHeader, name}
	}
	for name, test := range map[string]struct {
		header string
		want   error
		says   string
	}{
		"without kid":                {`{"alg":"EdDSA"}`, jose.ErrKeyID, "kid"},
		"with an empty kid":          {`{"alg":"EdDSA","kid":""}`, jose.ErrKeyID, "kid"},
		"with a kid of a number":     {`{"alg":"EdDSA","kid":1}`, jose.ErrKeyID, "kid"},
		"with a kid of nobody":       {`{"alg":"EdDSA","kid":"nobody-we-know"}`, jose.ErrUnknownKey, "key set"},
		"without alg":                {"{" + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg none":              {`{"alg":"none",` + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg nOnE":              {`{"alg":"nOnE",` + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg HS256":             {`{"alg":"HS256",` + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg eddsa":             {`{"alg":"eddsa",` + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg of some long text": {`{"alg":"a-text-nobody-should-log",` + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg of a list":         {`{"alg":["EdDSA"],` + kid + "}", jose.ErrAlgorithm, "alg"},
		"with alg of another key":    {`{"alg":"ES256",` + kid + "}", jose.ErrAlgorithm, "EdDSA"},
		"with alg twice":             {`{"alg":"EdDSA","alg":"EdDSA",` + kid + "}", jose.ErrMalformed, "twice"},
		"with a member twice inside": {header(`,"x":[{"secret-name":1,"secret-name":2}]`), jose.ErrMalformed, "twice"},
		"with a typ of a number":     {header(`,"typ":1`), jose.ErrMalformed, "typ"},
		"that is not JSON":           {"alg=EdDSA", jose.ErrMalformed, "header"},
		"that is an array":           {"[]", jose.ErrMalformed, "header"},
		"that is not UTF-8":          {header(",\"x\":\"\xff\""), jose.ErrMalformed, "header"},
	} {
		tests[name] = tokenRefusal{forge(t, key, test.header, `{}`), test.want, test.says}
	}
	mustRefuse(t, tests, allKeys())
}

func TestTokensAreRefusedForTheirPayload(t *testing.T) {
	key := keys()[jose.EdDSA]
	header := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"JWT"}`, key.ID())
	tests := map[string]tokenRefusal{}
	for name, test := range map[string]struct{ payload, says string }{
		"prose":                     {"secret prose here", "payload"},
		"an array":                  {"[]", "object"},
		"a number":                  {"1", "object"},
		"null":                      {"null", "object"},
		"two objects":               {"{}{}", "payload"},
		"not UTF-8":                 {"{\"a\":\"\xff\"}", "payload"},
		"a byte order mark":         {"\xef\xbb\xbf{}", "payload"},
		"a claim twice":             {`{"sub":"a","sub":"a"}`, "twice"},
		"a claim twice by escape":   {`{"sub":"a","s\u0075b":"b"}`, "twice"},
		"a claim twice inside":      {`{"act":{"sub":"a","sub":"b"}}`, "twice"},
		"a claim twice in an array": {`{"a":[[{"b":1,"b":1}]]}`, "twice"},
		"iss of a number":           {`{"iss":1}`, "iss"},
		"iss null":                  {`{"iss":null}`, "iss"},
		"sub of an object":          {`{"sub":{}}`, "sub"},
		"jti of a number":           {`{"jti":7}`, "jti"},
		"aud of a number":           {`{"aud":1}`, "aud"},
		"aud null":                  {`{"aud":null}`, "aud"},
		"aud with a number":         {`{"aud":["a",1]}`, "aud"},
		"aud with null":             {`{"aud":[null]}`, "aud"},
		"exp of a text":             {`{"exp":"1700000000"}`, "exp"},
		"exp of a time":             {`{"exp":"2030-01-01T00:00:00Z"}`, "exp"},
		"exp null":                  {`{"exp":null}`, "exp"},
		"exp true":                  {`{"exp":true}`, "exp"},
		"exp before 1970":           {`{"exp":-1}`, "exp"},
		"exp a little before 1970":  {`{"exp":-0.5}`, "exp"},
		"exp after 9999":            {`{"exp":253402300800}`, "exp"},
		"exp in milliseconds":       {`{"exp":1700000000000}`, "exp"},
		"exp beyond every number":   {`{"exp":1e999}`, "exp"},
		"iat before 1970":           {`{"iat":-5}`, "iat"},
		"nbf after 9999":            {`{"nbf":1e12}`, "nbf"},
	} {
		tests[name] = tokenRefusal{forge(t, key, header, test.payload), jose.ErrMalformed, test.says}
	}
	mustRefuse(t, tests, allKeys())
}

// mustRefuse also holds Parse to the same answer wherever the signature and the keys do not matter.
func mustRefuse(t *testing.T, tests map[string]tokenRefusal, keys jose.KeySet) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			token, err := jose.Verify(test.compact, keys)
			if !errors.Is(err, test.want) || token.Claims != nil {
				t.Fatalf("got %v, %v, want %v", token, err, test.want)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
			mustNotQuote(t, err, test.compact+decodedParts(test.compact))
			_, parseErr := jose.Parse(test.compact)
			switch {
			case errors.Is(err, jose.ErrSignature), errors.Is(err, jose.ErrUnknownKey), test.says == "EdDSA":
				if parseErr != nil {
					t.Errorf("Parse refuses what only Verify can: %v", parseErr)
				}
			case !errors.Is(parseErr, test.want):
				t.Errorf("Parse: got %v, want %v", parseErr, test.want)
			}
		})
	}
}

func TestVerifyPinsTheAlgorithmOfTheKey(t *testing.T) {
	// One RSA key can make RS256 and PS256 signatures. The set says it is for RS256.
	ps256 := sign(t, keys()[jose.PS256], `{}`)
	if _, err := jose.Verify(ps256, jose.NewKeySet(keys()[jose.RS256].Public())); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("got %v, want %v", err, jose.ErrAlgorithm)
	}
	if _, err := jose.Verify(ps256, jose.NewKeySet(keys()[jose.PS256].Public())); err != nil {
		t.Errorf("under its own algorithm: %v", err)
	}
}

func TestVerifyTakesASaltAsLongAsTheHashOnly(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.PS256, jose.PS384, jose.PS512} {
		key := keys()[alg]
		private, ok := fromPEM(t, key).(*rsa.PrivateKey)
		if !ok {
			t.Fatal("not an RSA key")
		}
		text := b64(fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, key.ID())) + "." + b64(`{}`)
		hash, digest := hashed(alg, text)
		for _, test := range []struct {
			salt int
			want error
		}{{hash.Size(), nil}, {hash.Size() - 1, jose.ErrSignature}, {hash.Size() + 1, jose.ErrSignature}, {rsa.PSSSaltLengthAuto, jose.ErrSignature}} {
			signature, err := rsa.SignPSS(rand.Reader, private, hash, digest, &rsa.PSSOptions{SaltLength: test.salt})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jose.Verify(text+"."+b64(string(signature)), jose.NewKeySet(key.Public())); !errors.Is(err, test.want) {
				t.Errorf("%s, salt length %d: got %v, want %v", alg, test.salt, err, test.want)
			}
		}
	}
}

func TestVerifyRefusesTheSignatureOfAnotherKey(t *testing.T) {
	mine := keys()[jose.ES256]
	theirs, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	header := fmt.Sprintf(`{"alg":"ES256","kid":%q}`, mine.ID())
	if _, err := jose.Verify(forge(t, theirs, header, `{}`), allKeys()); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("got %v, want %v", err, jose.ErrSignature)
	}
	if _, err := jose.Verify(sign(t, mine, `{}`), jose.KeySet{}); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("no keys: got %v, want %v", err, jose.ErrUnknownKey)
	}
}
