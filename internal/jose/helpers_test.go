package jose_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

type members = map[string]string

//go:embed testdata/vectors.json
var vectorsJSON []byte

type vectors struct {
	Signatures []struct {
		Source    string  `json:"source"`
		Alg       string  `json:"alg"`
		Key       members `json:"key"`
		Input     string  `json:"input"`
		Signature string  `json:"signature"`
	} `json:"signatures"`
	Thumbprints []struct {
		Source     string  `json:"source"`
		Alg        string  `json:"alg"`
		Key        members `json:"key"`
		Thumbprint string  `json:"thumbprint"`
	} `json:"thumbprints"`
	Refused []struct {
		Source  string `json:"source"`
		What    string `json:"what"`
		Token   string `json:"token"`
		Refusal string `json:"refusal"`
		MAC     struct {
			Key   string `json:"key"`
			Input string `json:"input"`
			Code  string `json:"code"`
		} `json:"mac"`
	} `json:"refused"`
	Sets []struct {
		Source string            `json:"source"`
		What   string            `json:"what"`
		Set    json.RawMessage   `json:"set"`
		Keys   map[string]string `json:"keys"` // what a verifier makes of it, nothing if it is refused
	} `json:"sets"`
}

var published = sync.OnceValue(func() vectors {
	var read vectors
	if err := json.Unmarshal(vectorsJSON, &read); err != nil {
		panic(err)
	}
	return read
})

// withKID adds what this package asks of a JWK and the vectors of the RFCs lack. The thumbprint is computed here from
// RFC 7638 section 3.2 and not by the package under test.
func withKID(alg string, key members) members {
	var required []string
	for _, name := range []string{"crv", "e", "kty", "n", "x", "y"} {
		if value, present := key[name]; present {
			required = append(required, `"`+name+`":"`+value+`"`)
		}
	}
	sum := sha256.Sum256([]byte("{" + strings.Join(required, ",") + "}"))
	whole := maps.Clone(key)
	whole["alg"], whole["kid"] = alg, base64.RawURLEncoding.EncodeToString(sum[:])
	return whole
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// published RSA keys spare the tests the making of one.
func rsaMembers(alg string) members { return withKID(alg, published().Signatures[0].Key) }

func otherRSAMembers(alg string) members { return withKID(alg, published().Signatures[3].Key) }

var keys = sync.OnceValue(func() map[jose.Algorithm]jose.PrivateKey {
	made := map[jose.Algorithm]jose.PrivateKey{}
	for _, alg := range jose.Algorithms() {
		var err error
		if alg[0] == 'E' {
			made[alg], err = jose.GenerateKey(alg)
		} else {
			var jwk []byte
			if jwk, err = json.Marshal(rsaMembers(string(alg))); err == nil {
				made[alg], err = jose.ParsePrivateKey(jwk)
			}
		}
		if err != nil {
			panic(err)
		}
	}
	return made
})

func membersOf(t testing.TB, jwk []byte, err error) members {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var read members
	if err := json.Unmarshal(jwk, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func privateMembers(t testing.TB, key jose.PrivateKey) members {
	t.Helper()
	jwk, err := key.JWK()
	return membersOf(t, jwk, err)
}

func publicMembers(t testing.TB, key jose.PublicKey) members {
	t.Helper()
	jwk, err := key.JWK()
	return membersOf(t, jwk, err)
}

// with returns a copy in which some members are changed; an empty value removes one.
func with(from members, changes ...string) members {
	changed := maps.Clone(from)
	for pair := range slices.Chunk(changes, 2) {
		name, value := pair[0], pair[1]
		if changed[name] = value; value == "" {
			delete(changed, name)
		}
	}
	return changed
}

func sign(t testing.TB, key jose.PrivateKey, claims string) string {
	t.Helper()
	token, err := jose.Sign(key, jose.TypeJWT, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// forge signs any header and payload, as an attacker with a key of ours would.
func forge(t testing.TB, key jose.PrivateKey, header, payload string) string {
	t.Helper()
	text := b64(header) + "." + b64(payload)
	signature, err := key.SignText([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(string(signature))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func unb64(t testing.TB, text string) string {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(decoded)
}

// strayBits writes the same bytes with another last character, whose unused bits are not zero.
func strayBits(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(text) - 1
	return text[:last] + string(alphabet[strings.IndexByte(alphabet, text[last])|1])
}

// decodedParts is what a token says, which errors must not show either.
func decodedParts(compact string) string {
	var all strings.Builder
	for part := range strings.SplitSeq(compact, ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(part)
		all.Write(decoded)
	}
	return all.String()
}

// mustNotQuote fails if an error shows a piece of its input long enough to be told from chance.
func mustNotQuote(t testing.TB, err error, input string) {
	t.Helper()
	const piece = 10
	message := err.Error()
	for i := 0; i+piece <= len(message); i++ {
		if strings.Contains(input, message[i:i+piece]) {
			t.Errorf("error %q shows %q of the input", message, message[i:i+piece])
			return
		}
	}
}
