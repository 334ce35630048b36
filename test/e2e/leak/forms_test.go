package leak_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/test/e2e/leak"
)

// written are the ways in which a program can write bytes down by mistake.
func written(t *testing.T, secret []byte) map[string]string {
	t.Helper()
	quoted, err := json.Marshal(map[string][]byte{"before": []byte("x"), "bytes": secret})
	if err != nil {
		t.Fatal(err)
	}
	object, err := json.Marshal(&corev1.Secret{Data: map[string][]byte{"other": []byte("x"), "x": append([]byte("some: "), secret...)}})
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]string{
		"hexadecimal": hex.EncodeToString(secret), "upper case": fmt.Sprintf("%X", secret), "%v": fmt.Sprintf("%v", secret),
		"as JSON": string(quoted), "as a Secret": string(object), "of a Go string": fmt.Sprintf("%x", string(secret)),
	}
	for before := range 4 {
		larger := append([]byte("abcd"[:before]), append(secret, "efg"...)...)
		ways[fmt.Sprint("base64 behind ", before)] = base64.StdEncoding.EncodeToString(larger)
		ways[fmt.Sprint("base64url behind ", before)] = base64.RawURLEncoding.EncodeToString(larger)
	}
	return ways
}

func TestAPrivateKeyIsFoundInWhateverForm(t *testing.T) {
	t.Parallel()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := curve.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	primes, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		key     any
		secrets [][]byte
	}{
		"of ES256": {curve, [][]byte{scalar}},
		"of EdDSA": {edwards, [][]byte{edwards.Seed()}},
		"of RS256": {primes, [][]byte{primes.D.Bytes(), primes.Primes[0].Bytes(), primes.Primes[1].Bytes()}},
	} {
		jwk, err := json.Marshal(jose.JSONWebKey{Key: c.key})
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(c.key)
		if err != nil {
			t.Fatal(err)
		}
		armoured := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		for from, content := range map[string][]byte{"a JWK": jwk, "PEM": armoured} {
			var known leak.Watcher
			known.Secret(&corev1.Secret{Data: map[string][]byte{"key": content}})
			for _, secret := range c.secrets {
				ways := written(t, secret)
				ways["as a number"] = new(big.Int).SetBytes(secret).String()
				for way, text := range ways {
					if len(known.Find("it is "+text+"!")) == 0 {
						t.Errorf("a key %s, known from %s, is not found as %s", sentence, from, way)
					}
				}
			}
			if found := known.Find(base64.StdEncoding.EncodeToString(der)); len(found) == 0 {
				t.Errorf("a key %s, known from %s, is not found in base64 of its DER", sentence, from)
			}
		}
	}
}

func TestOtherSecretsAreFoundInWhateverForm(t *testing.T) {
	t.Parallel()
	var known leak.Watcher
	const ofClient, ofFamily, ofDatabase, signature = "kts_one-client-only", "ktr_one-family-only", "pass-word-of-16-", "c2lnbmF0dXJlIGFuZCBzb21lIG1vcmU"
	known.RefreshToken(ofFamily)
	known.Secret(&corev1.Secret{Data: map[string][]byte{
		"client-secret": []byte(ofClient), "url": []byte("postgres://keyturn:" + ofDatabase + "@db.example/keyturn"),
		"token": []byte("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0." + signature),
	}})
	for _, secret := range []string{ofClient, ofFamily, ofDatabase, signature} {
		for way, text := range written(t, []byte(secret)) {
			if len(known.Find(text)) == 0 {
				t.Errorf("%s is not found as %s", secret, way)
			}
		}
	}
	for _, harmless := range []string{"", "short", strings.Repeat("kts_one-client-onlx", 3), "postgres://keyturn@db.example/keyturn", "eyJpc3MiOiJhIn0"} {
		if found := known.Find(harmless); len(found) > 0 {
			t.Errorf("in %q is found %v", harmless, found)
		}
	}
}
