package refresh_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

func newToken() refresh.Token {
	_, token := refresh.Start(refresh.Grant{}, refresh.Lifetimes{Idle: time.Hour, Absolute: time.Hour}, time.Unix(0, 0))
	return token
}

func TestATokenIsReadInItsOneFormOnly(t *testing.T) {
	text := newToken().Reveal()
	read, err := refresh.Parse(text)
	if err != nil || read.Reveal() != text || read.Hash() != must(t, text).Hash() {
		t.Errorf("got %q and error %v, want the same token", read.Reveal(), err)
	}
	last := text[len(text)-1:]
	for name, bad := range map[string]string{
		"nothing":                      "",
		"the prefix alone":             refresh.Prefix,
		"no prefix":                    strings.TrimPrefix(text, refresh.Prefix),
		"another case":                 strings.ToUpper(refresh.Prefix) + text[4:],
		"a space in front":             " " + text,
		"a line break at the end":      text + "\n",
		"a line break in it":           text[:20] + "\n" + text[21:],
		"padding":                      text[:len(text)-1] + "=",
		"one character less":           text[:len(text)-1],
		"four characters more":         text + "AAAA",
		"base64 that is not for URLs":  text[:len(text)-1] + "+",
		"a text of thousands":          refresh.Prefix + strings.Repeat("A", 1<<20),
		"a JWT":                        "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl",
		"the last character twice":     text + last,
		"a NUL":                        text[:len(text)-1] + "\x00",
		"the prefix of another vendor": "ghp_" + text[4:],
	} {
		token, err := refresh.Parse(bad)
		if !errors.Is(err, refresh.ErrMalformed) || !token.IsZero() {
			t.Errorf("%s: got %v and error %v, want no token and ErrMalformed", name, token, err)
		}
		if err != nil && strings.Contains(err.Error(), text[10:30]) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

func must(t *testing.T, text string) refresh.Token {
	t.Helper()
	token, err := refresh.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// holder shows what happens inside a struct, where package fmt sees some fields and not others.
type holder struct {
	Token refresh.Token
	token refresh.Token
}

func TestNothingPrintsAToken(t *testing.T) {
	token := newToken()
	raw, err := base64.RawURLEncoding.DecodeString(token.Reveal()[len(refresh.Prefix):])
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{token.Reveal()[len(refresh.Prefix):], hex.EncodeToString(raw[:16]), hex.EncodeToString(raw[16:]), strings.Trim(fmt.Sprintf("%d", raw), "[]")}
	for _, value := range []any{
		token, &token,
		[]refresh.Token{token},
		map[string]refresh.Token{"a": token},
		holder{token, token},
		&holder{token, token},
		struct{ any }{token},
	} {
		printed := []string{fmt.Sprint(value), logged(value)}
		for _, verb := range "vTtbcdoOqxXUeEfFgGspw!" {
			for _, flags := range []string{"", "+", "#", " ", "0", "-30.5", "+#"} {
				printed = append(printed, fmt.Sprintf("%"+flags+string(verb), value))
			}
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(printed, string(encoded)) {
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%T shows a token: %s", value, text)
				}
			}
		}
	}
	for want, value := range map[string]refresh.Token{"[redacted refresh token]": token, "[no refresh token]": {}} {
		if got := fmt.Sprintf("%#v", value); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func logged(value any) string {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", value)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", value)
	return out.String()
}

func TestEveryTokenIsAnother(t *testing.T) {
	const tokens = 1000
	seen := map[string]bool{}
	family, token := refresh.Start(refresh.Grant{}, refresh.Lifetimes{Idle: time.Hour, Absolute: time.Hour}, time.Unix(0, 0))
	for range tokens {
		if seen[token.Reveal()] || seen[token.Hash().String()] {
			t.Fatal("a token came twice")
		}
		if token.FamilyID() != family.ID {
			t.Fatalf("a token is of family %s, want %s", token.FamilyID(), family.ID)
		}
		seen[token.Reveal()], seen[token.Hash().String()] = true, true
		family, token = family.Rotate(token, time.Hour, time.Unix(0, 0))
	}
	if newToken().FamilyID() == family.ID {
		t.Error("two families have one ID")
	}
}
