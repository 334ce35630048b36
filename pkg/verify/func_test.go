package verify_test

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func TestKeysFromMemoryCountFromTheMomentTheyAreThere(t *testing.T) {
	old, next := signers()[jose.ES256], newSigner(jose.ES256)
	before, after := old.sign(claims()), next.sign(claims())
	var set []byte
	var version string
	away := errors.New("not read yet")
	failure := away
	verifier := newVerifier(t, verify.Options{Clock: newClock().Now, CacheSize: 10, Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.Func(func() ([]byte, string, error) { return set, version, failure }),
	}}})
	must(t, "there are none", verifier, before, verify.ErrKeysUnavailable)
	if err := verifier.Ready(t.Context()); !errors.Is(err, away) {
		t.Errorf("ready: got %v, want %v", err, away)
	}
	set, version, failure = jwks(old), "1", nil
	for range 2 {
		must(t, "the first set", verifier, before, nil)
		must(t, "the next key is not there", verifier, after, verify.ErrUnknownKey)
	}
	set, version = jwks(next, old), "2"
	must(t, "the next key is there", verifier, after, nil)
	set, version = jwks(next), "3"
	must(t, "the first was taken away", verifier, before, verify.ErrUnknownKey)
	set = nil
	must(t, "only the version is looked at", verifier, after, nil)
	version = "4"
	must(t, "no JWK Set", verifier, after, verify.ErrKeysUnavailable)
	failure = away
	must(t, "there are none again", verifier, after, verify.ErrKeysUnavailable)
}
