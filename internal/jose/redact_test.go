package jose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

// holder shows what happens to a secret inside a struct, where package fmt sees some fields and not others.
type holder struct {
	Key   jose.PrivateKey
	Token jose.Compact
	key   jose.PrivateKey
	token jose.Compact
}

// forms are the ways in which a program might print a number or a text.
func forms(secret []byte) []string {
	decimal := strings.Trim(fmt.Sprintf("%d", secret), "[]")
	return []string{
		string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), decimal,
		strings.ReplaceAll(decimal, " ", ", "), new(big.Int).SetBytes(secret).String(), b64(string(secret)),
		strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}"),
	}
}

// secrets returns every private number of the key, in every form.
func secrets(t *testing.T, key jose.PrivateKey) []string {
	t.Helper()
	var all []string
	switch key := fromPEM(t, key).(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		all = forms(d)
	case *rsa.PrivateKey:
		for _, number := range []*big.Int{key.D, key.Primes[0], key.Primes[1], key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv} {
			all = append(all, forms(number.Bytes())...)
		}
	case ed25519.PrivateKey:
		all = forms(key.Seed())
	}
	return all
}

func mustHide(t *testing.T, how, printed string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(printed, secret) {
			t.Errorf("%s shows a secret: %s", how, printed)
			return
		}
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			key := keys()[alg]
			token, err := jose.Sign(key, jose.TypeJWT, []byte(`{"sub":"someone"}`))
			if err != nil {
				t.Fatal(err)
			}
			hidden := append(secrets(t, key), token.Reveal())
			for part := range strings.SplitSeq(token.Reveal(), ".") {
				hidden = append(hidden, forms([]byte(part))...)
			}
			for _, value := range []any{
				key, &key, token, &token,
				[]jose.PrivateKey{key},
				[]jose.Compact{token},
				map[string]jose.PrivateKey{"a": key},
				map[string]jose.Compact{"a": token},
				holder{key, token, key, token},
				&holder{key, token, key, token},
				[]any{key, token},
				struct{ any }{key},
			} {
				for _, verb := range "vTtbcdoOqxXUeEfFgGspw!" {
					for _, flags := range []string{"", "+", "#", " ", "0", "-30.5", "+#"} {
						format := "%" + flags + string(verb)
						mustHide(t, fmt.Sprintf("%s of %T", format, value), fmt.Sprintf(format, value), hidden)
					}
				}
				mustHide(t, fmt.Sprintf("Sprint of %T", value), fmt.Sprint(value), hidden)
				mustHide(t, fmt.Sprintf("slog of %T", value), logged(value), hidden)
				encoded, err := json.Marshal(value)
				mustHide(t, fmt.Sprintf("JSON of %T", value), fmt.Sprintf("%s %v", encoded, err), hidden)
			}
		})
	}
}

func logged(value any) string {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", value, slog.Group("group", "value", value))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", value, slog.Group("group", "value", value))
	return out.String()
}

func TestWhatIsPrintedInstead(t *testing.T) {
	key := keys()[jose.ES256]
	token, err := jose.Sign(key, jose.TypeJWT, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for want, value := range map[string]any{
		"[redacted private key " + key.ID() + "]": key,
		"[no private key]":                        jose.PrivateKey{},
		"[redacted token]":                        token,
		"[no token]":                              jose.Compact{},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, value); got != want {
				t.Errorf("%s: got %s, want %s", verb, got, want)
			}
		}
		if got := value.(fmt.Stringer).String(); got != want {
			t.Errorf("String: got %s, want %s", got, want)
		}
		if got := value.(slog.LogValuer).LogValue().String(); got != want {
			t.Errorf("LogValue: got %s, want %s", got, want)
		}
	}
}

func TestMarshallingAPrivateKeyFailsAndATokenGivesAPlaceholder(t *testing.T) {
	var refused *json.MarshalerError
	if encoded, err := json.Marshal(keys()[jose.ES256]); !errors.As(err, &refused) {
		t.Errorf("private key: got %s, %v, want an error", encoded, err)
	}
	token, err := jose.Sign(keys()[jose.ES256], jose.TypeJWT, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if encoded, err := json.Marshal(token); err != nil || string(encoded) != `"[redacted token]"` {
		t.Errorf("token: got %s, %v", encoded, err)
	}
}
