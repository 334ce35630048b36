package jose_test

import (
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

func TestNoTokenIsLongerThanForetold(t *testing.T) {
	claims := []byte(`{"a":"` + strings.Repeat("b", 1000) + `"}`)
	foretold, longest := jose.CompactBytes(jose.TypeAccessToken, len(claims)), 0
	for _, alg := range jose.Algorithms() {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		compact, err := jose.Sign(key, jose.TypeAccessToken, claims)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, len(compact.Reveal()))
	}
	if longest != foretold {
		t.Errorf("the longest token has %d bytes, foretold were %d", longest, foretold)
	}
}
