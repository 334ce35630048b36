package token_test

import (
	"testing"

	"github.com/keyturn/keyturn/internal/domain/token"
)

func TestEachCauseHasWordsOfItsOwn(t *testing.T) {
	seen := map[string]token.Cause{}
	for _, cause := range token.Causes() {
		words := cause.Words()
		if other, taken := seen[words]; words == "" || taken {
			t.Errorf("the words of %s are %q, as those of %q", cause, words, other)
		}
		seen[words] = cause
	}
	if words := token.Cause("Whim").Words(); words != "" {
		t.Errorf("what is no cause is %q", words)
	}
}
