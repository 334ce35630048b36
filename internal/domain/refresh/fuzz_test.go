package refresh_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/domain/refresh"
)

// FuzzParse: a text is a refresh token in one form only, of which each has another hash, and nothing else is told of any.
func FuzzParse(f *testing.F) {
	good := refresh.Prefix + strings.Repeat("Ab9-", 16)
	for _, seed := range []string{good, good[:67] + "\n", good + "=", strings.ToUpper(good), refresh.Prefix + strings.Repeat("+/", 32), refresh.Prefix, "a.b.c", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := refresh.Parse(text)
		if err != nil {
			if !errors.Is(err, refresh.ErrMalformed) || err.Error() != refresh.ErrMalformed.Error() || !token.IsZero() {
				t.Errorf("error %v with token %v", err, token)
			}
			return
		}
		if token.Reveal() != text || strings.Trim(text[len(refresh.Prefix):], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q is read as %q", text, token.Reveal())
		}
		other := text[:len(text)-1] + string("AB"[strings.Count(text[len(text)-1:], "A")])
		if same, err := refresh.Parse(other); err != nil || same.Hash() == token.Hash() || same.FamilyID() != token.FamilyID() {
			t.Errorf("%q and %q: %v", text, other, err)
		}
		if shown := token.String() + token.FamilyID() + token.Hash().String(); strings.Contains(shown, text[len(refresh.Prefix):]) {
			t.Errorf("shown: %s", shown)
		}
	})
}
