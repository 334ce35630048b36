package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

const (
	issuer   = "https://orders.example.com"
	audience = "https://api.example.com"
)

// start is the instant at which tests begin.
func start() time.Time { return time.Unix(1_800_000_000, 0) }

// stepped is a clock that tests set forward.
type stepped struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *stepped { return &stepped{now: start()} }

func (c *stepped) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepped) step(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

type members = map[string]string

// published are vectors of the RFCs, which internal/jose is held to too.
var published = sync.OnceValue(func() (read struct {
	Signatures []struct {
		Source    string  `json:"source"`
		Alg       string  `json:"alg"`
		Input     string  `json:"input"`
		Signature string  `json:"signature"`
		Key       members `json:"key"`
	} `json:"signatures"`
	Refused []struct {
		Source  string `json:"source"`
		What    string `json:"what"`
		Token   string `json:"token"`
		Refusal string `json:"refusal"`
	} `json:"refused"`
	Sets []struct {
		Source string                      `json:"source"`
		What   string                      `json:"what"`
		Set    json.RawMessage             `json:"set"`
		Keys   map[string]verify.Algorithm `json:"keys"` // nothing if the set is refused
	} `json:"sets"`
},
) {
	data, err := os.ReadFile(filepath.Join("..", "..", "internal", "jose", "testdata", "vectors.json"))
	if err == nil {
		err = json.Unmarshal(data, &read)
	}
	if err != nil {
		panic(err)
	}
	return read
})

// signer signs whatever it is told to, as an attacker with a key of ours would.
type signer struct {
	alg     jose.Algorithm
	key     jose.PrivateKey
	private crypto.Signer
}

func newSigner(alg jose.Algorithm) signer {
	key, err := jose.GenerateKey(alg)
	if err != nil {
		panic(err)
	}
	text, err := key.PEM()
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return signer{alg: alg, key: key, private: private.(crypto.Signer)}
}

var signers = sync.OnceValue(func() map[jose.Algorithm]signer {
	made := map[jose.Algorithm]signer{}
	for _, alg := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.RS256, jose.PS256} {
		made[alg] = newSigner(alg)
	}
	// The larger keys that would be generated for these take seconds.
	for alg, of := range map[jose.Algorithm]jose.Algorithm{
		jose.RS384: jose.RS256, jose.RS512: jose.RS256, jose.PS384: jose.PS256, jose.PS512: jose.PS256,
	} {
		made[alg] = made[of].as(alg)
	}
	return made
})

func (s signer) id() string { return s.key.ID() }

// as is the same RSA key for another algorithm.
func (s signer) as(alg jose.Algorithm) signer {
	document, err := s.key.JWK()
	var read members
	if err == nil {
		err = json.Unmarshal(document, &read)
	}
	if err == nil {
		read["alg"] = string(alg)
		document, err = json.Marshal(read)
	}
	if err == nil {
		s.key, err = jose.ParsePrivateKey(document)
	}
	if err != nil {
		panic(err)
	}
	s.alg = alg
	return s
}

func (s signer) header(more string) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"%s}`, s.alg, s.id(), more)
}

func (s signer) sign(claims string) string { return s.forge(s.header(""), claims) }

func (s signer) forge(header, payload string) string {
	text := b64(header) + "." + b64(payload)
	return text + "." + b64(string(s.signature(text)))
}

func (s signer) signature(text string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512, "DSA": 0}[string(s.alg[2:])]
	digest := []byte(text)
	if hash != 0 {
		hasher := hash.New()
		hasher.Write(digest)
		digest = hasher.Sum(nil)
	}
	var options crypto.SignerOpts = hash
	if s.alg[0] == 'P' {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	var made []byte
	var err error
	if private, ok := s.private.(*ecdsa.PrivateKey); ok {
		r, t, failure := ecdsa.Sign(rand.Reader, private, digest)
		if err = failure; err == nil {
			size := (private.Curve.Params().BitSize + 7) / 8
			made = append(r.FillBytes(make([]byte, size)), t.FillBytes(make([]byte, size))...)
		}
	} else {
		made, err = s.private.Sign(rand.Reader, digest, options)
	}
	if err != nil {
		panic(err)
	}
	return made
}

// public is the public JWK.
func (s signer) public() members {
	document, err := s.key.Public().JWK()
	var read members
	if err == nil {
		err = json.Unmarshal(document, &read)
	}
	if err != nil {
		panic(err)
	}
	return read
}

func with(from members, changes ...string) members {
	changed := maps.Clone(from)
	for pair := range slices.Chunk(changes, 2) {
		if changed[pair[0]] = pair[1]; pair[1] == "" {
			delete(changed, pair[0])
		}
	}
	return changed
}

func jwks(of ...signer) []byte {
	documents := make([]any, 0, len(of))
	for _, one := range of {
		documents = append(documents, one.public())
	}
	return jwkSet(documents...)
}

func jwkSet(documents ...any) []byte {
	encoded, err := json.Marshal(map[string]any{"keys": documents})
	if err != nil {
		panic(err)
	}
	return encoded
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func unb64(text string) string {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(decoded)
}

// claims are good for an hour from the start on; changes replace members, or remove them if they are empty.
func claims(changes ...string) string {
	all := map[string]json.RawMessage{}
	for name, value := range map[string]string{
		"iss": `"` + issuer + `"`, "aud": `["` + audience + `","other"]`, "sub": `"alice"`, "jti": `"one"`, "scope": `"orders.read orders.write"`,
		"iat": "1800000000", "nbf": "1799999940", "exp": "1800003600",
	} {
		all[name] = json.RawMessage(value)
	}
	for pair := range slices.Chunk(changes, 2) {
		if all[pair[0]] = json.RawMessage(pair[1]); pair[1] == "" {
			delete(all, pair[0])
		}
	}
	encoded, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func writeFile(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newVerifier(t testing.TB, options verify.Options) *verify.Verifier {
	t.Helper()
	verifier, err := verify.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// accepting is a verifier of one issuer that has these keys in a file.
func accepting(t testing.TB, clock *stepped, of ...signer) *verify.Verifier {
	t.Helper()
	return newVerifier(t, verify.Options{
		Issuers: []verify.Issuer{{Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: writeFile(t, jwks(of...))}}},
		Clock:   clock.Now,
	})
}

// mustNotQuote fails if a text shows a piece of a token, or of what it says, long enough to be told from chance.
func mustNotQuote(t testing.TB, text, token string) {
	t.Helper()
	all := token
	for part := range strings.SplitSeq(token, ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(part)
		all += string(decoded)
	}
	const piece = 12
	for i := 0; i+piece <= len(text); i++ {
		if strings.Contains(all, text[i:i+piece]) {
			t.Errorf("%q shows %q of the token", text, text[i:i+piece])
			return
		}
	}
}
