package verify_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func containsText(err error, text string) bool { return strings.Contains(err.Error(), text) }

type attack struct {
	token string
	want  error
}

// hs256 signs with what everybody has: the public key, as a secret.
func hs256(of signer, secret []byte) string {
	text := b64(fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"JWT"}`, of.id())) + "." + b64(claims())
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(string(mac.Sum(nil)))
}

func confusions(t *testing.T) map[string]attack {
	t.Helper()
	es, rs, ed := signers()[jose.ES256], signers()[jose.RS256], signers()[jose.EdDSA]
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	kid := fmt.Sprintf(`"kid":%q`, ed.id())
	attacks := map[string]attack{
		"HS256 with the public key in PEM": {hs256(rs, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), verify.ErrAlgorithm},
		"HS256 with the public key in DER": {hs256(rs, der), verify.ErrAlgorithm},
		"HS256 with an empty secret":       {hs256(rs, nil), verify.ErrAlgorithm},
		"HS256 with the public JWK":        {hs256(ed, []byte(unb64(ed.public()["x"]))), verify.ErrAlgorithm},
		"PS256 by a key for RS256":         {rs.as(jose.PS256).sign(claims()), verify.ErrAlgorithm},
		"RS512 by a key for RS256":         {rs.as(jose.RS512).sign(claims()), verify.ErrAlgorithm},
		"EdDSA in the name of ES256":       {ed.forge(fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, es.id()), claims()), verify.ErrAlgorithm},
		"ES256 signed with Ed25519":        {ed.forge(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, es.id()), claims()), verify.ErrSignature},
		"a list of algorithms":             {ed.forge(`{"alg":["EdDSA"],`+kid+`}`, claims()), verify.ErrAlgorithm},
		"no algorithm":                     {ed.forge(`{`+kid+`}`, claims()), verify.ErrAlgorithm},
		"a key of one's own in jwk":        {ed.forge(fmt.Sprintf(`{"alg":"EdDSA",%s,"jwk":%s}`, kid, `{"kty":"OKP"}`), claims()), verify.ErrMalformed},
		"a kid of a folder above":          {ed.forge(`{"alg":"EdDSA","kid":"../../../../dev/null"}`, claims()), verify.ErrUnknownKey},
		"a kid of a URL":                   {ed.forge(`{"alg":"EdDSA","kid":"https://evil.example.com/jwks"}`, claims()), verify.ErrUnknownKey},
		"a kid of SQL":                     {ed.forge(`{"alg":"EdDSA","kid":"x' UNION SELECT 'secret"}`, claims()), verify.ErrUnknownKey},
		"a kid with a line break":          {ed.forge(`{"alg":"EdDSA","kid":"a\r\nSet-Cookie: b"}`, claims()), verify.ErrUnknownKey},
		"a kid with a null byte":           {ed.forge(fmt.Sprintf(`{"alg":"EdDSA","kid":"%s\u0000"}`, ed.id()), claims()), verify.ErrUnknownKey},
		"an empty kid":                     {ed.forge(`{"alg":"EdDSA","kid":""}`, claims()), verify.ErrMalformed},
		"no kid":                           {ed.forge(`{"alg":"EdDSA"}`, claims()), verify.ErrMalformed},
		"a kid of a number":                {ed.forge(`{"alg":"EdDSA","kid":1}`, claims()), verify.ErrMalformed},
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		header := b64(fmt.Sprintf(`{"alg":%q,%s}`, none, kid))
		attacks["alg "+none+" with a signature"] = attack{header + "." + b64(claims()) + ".AAAA", verify.ErrAlgorithm}
		attacks["alg "+none+" without one"] = attack{header + "." + b64(claims()) + ".", verify.ErrMalformed}
	}
	for _, name := range []string{"jku", "x5u", "jwk", "x5c", "crit", "b64"} {
		attacks["header "+name] = attack{ed.forge(ed.header(fmt.Sprintf(`,%q:["exp"]`, name)), claims()), verify.ErrMalformed}
		attacks["header "+name+" null"] = attack{ed.forge(ed.header(fmt.Sprintf(`,%q:null`, name)), claims()), verify.ErrMalformed}
	}
	return attacks
}

func texts() map[string]attack {
	ed := signers()[jose.EdDSA]
	good := ed.sign(claims())
	parts := strings.Split(good, ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	forms := map[string]string{
		"nothing": "", "dots": "..", "one part": header, "two parts": header + "." + payload, "four parts": good + ".AAAA",
		"five parts of encryption":  good + ".AAAA.AAAA",
		"JSON serialization":        fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, header, signature),
		"a space before":            " " + good,
		"a space after":             good + " ",
		"a line break after":        good + "\r\n",
		"a line break within":       header + "." + payload[:8] + "\n" + payload[8:] + "." + signature,
		"padding":                   good + "==",
		"the other alphabet":        header + "." + payload + ".+" + signature[1:],
		"stray bits at the end":     good[:len(good)-1] + strayBits(good[len(good)-1]),
		"a signature more":          good + "." + signature,
		"no signature":              header + "." + payload + ".",
		"no payload":                header + ".." + signature,
		"a scheme":                  "Bearer " + good,
		"a null byte":               good + "\x00",
		"an opaque text":            "kt_rt_6QO7o2vXnKkT1mJ0",
		"longer than the limit":     ed.sign(claims("big", `"`+strings.Repeat("a", 16<<10)+`"`)),
		"megabytes":                 strings.Repeat("A", 8<<20),
		"megabytes of dots":         strings.Repeat(".", 8<<20),
		"a bomb, compressed":        ed.forge(ed.header(`,"zip":"DEF"`), "\x4b\x4c\x04\x02"),
		"arrays nested without end": ed.sign(`{"a":` + strings.Repeat("[", 11000) + "}"),
		"arrays nested too deep":    ed.sign(`{"a":` + strings.Repeat("[", 5900) + strings.Repeat("]", 5901) + `}`),
		"not JSON":                  ed.sign("exp=1"),
		"an array":                  ed.sign("[" + claims() + "]"),
		"null":                      ed.sign("null"),
		"two objects":               ed.sign(claims() + "{}"),
		"a byte order mark":         ed.sign("\xef\xbb\xbf" + claims()),
		"not UTF-8":                 ed.sign(claims()[:len(claims())-1] + ",\"x\":\"\xff\"}"),
		"a header that is an array": ed.forge("[]", claims()),
		"alg twice":                 ed.forge(`{"alg":"none","alg":"EdDSA","kid":"`+ed.id()+`"}`, claims()),
		"typ of a number":           ed.forge(`{"alg":"EdDSA","typ":1,"kid":"`+ed.id()+`"}`, claims()),
		"iss twice":                 ed.sign(`{"iss":"https://evil.example.com",` + claims()[1:]),
		"iss twice by an escape":    ed.sign(`{"\u0069ss":"https://evil.example.com",` + claims()[1:]),
		"a claim twice within":      ed.sign(claims("act", `[{"sub":"a","x":{},"sub":"b"}]`)),
	}
	for claim, values := range map[string][]string{
		"exp": {"-1", "-0.5", `"1800003600"`, "null", "true", "[]", "1e999", "253402300800", "1800003600000", "9223372036854775808"},
		"nbf": {"-1", `"0"`, "1e12"},
		"iat": {"-5", "null", "{}"},
		"iss": {"1", "null", `["` + issuer + `"]`},
		"sub": {"{}", "null", "7"},
		"jti": {"7"},
		"aud": {"null", "1", "{}", `["` + audience + `",1]`, `["` + audience + `",null]`, `[["` + audience + `"]]`},
	} {
		for _, value := range values {
			forms[claim+" "+value] = ed.sign(claims(claim, value))
		}
	}
	attacks := map[string]attack{}
	for name, token := range forms {
		attacks[name] = attack{token, verify.ErrMalformed}
	}
	attacks["another payload"] = attack{header + "." + b64(claims("sub", `"root"`)) + "." + signature, verify.ErrSignature}
	attacks["another header"] = attack{b64(ed.header(`,"x":1`)) + "." + payload + "." + signature, verify.ErrSignature}
	attacks["half a signature"] = attack{header + "." + payload + "." + signature[:84], verify.ErrSignature}
	attacks["a longer signature"] = attack{good + "AAAA", verify.ErrSignature}
	return attacks
}

// strayBits writes the same bits with another character, whose unused bits are not zero.
func strayBits(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, last)|1])
}

// ecdsaTricks are signatures that some implementation has taken.
func ecdsaTricks() map[string]attack {
	es := signers()[jose.ES256]
	text := b64(es.header("")) + "." + b64(claims())
	good := string(es.signature(text))
	r, s := good[:32], good[32:]
	order := "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"
	zero := strings.Repeat("\x00", 32)
	attacks := map[string]attack{"ES256 as it should be": {text + "." + b64(good), nil}}
	for name, signature := range map[string]string{
		"zeros (CVE-2022-21449)": zero + zero, "r zero": zero + s, "s zero": r + zero, "the order": order + order,
		"a byte before": "\x00" + r + s, "a zero before s": r + "\x00" + s, "zeros between": "\x00" + r + "\x00" + s, "ASN.1": "\x30\x44\x02\x20" + r + "\x02\x20" + s,
	} {
		attacks["ES256 of "+name] = attack{text + "." + b64(signature), verify.ErrSignature}
	}
	ps := signers()[jose.PS256]
	private, _ := ps.private.(*rsa.PrivateKey)
	text = b64(ps.header("")) + "." + b64(claims())
	digest := sha256.Sum256([]byte(text))
	for _, salt := range []int{rsa.PSSSaltLengthAuto, 31, 33} {
		signature, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			panic(err)
		}
		attacks[fmt.Sprintf("PS256 with a salt of %d", salt)] = attack{text + "." + b64(string(signature)), verify.ErrSignature}
	}
	return attacks
}

func TestAttacks(t *testing.T) {
	for _, attacks := range []map[string]attack{confusions(t), texts(), ecdsaTricks()} {
		for name, attack := range attacks {
			t.Run(name, func(t *testing.T) {
				verifier := accepting(t, newClock(), signers()[jose.ES256], signers()[jose.RS256], signers()[jose.PS256], signers()[jose.EdDSA])
				token, err := verifier.Verify(t.Context(), attack.token)
				if !errors.Is(err, attack.want) || (token == nil) != (attack.want != nil) {
					t.Fatalf("got %v, %v, want %v", token, err, attack.want)
				}
				if err == nil {
					return // That it is refused for the trick alone, one row shows without any.
				}
				mustNotQuote(t, err.Error(), attack.token)
			})
		}
	}
}
