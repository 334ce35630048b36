package verify_test

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func remembering(t testing.TB, clock func() time.Time, path string, size int) *verify.Verifier {
	t.Helper()
	return newVerifier(t, verify.Options{Clock: clock, CacheSize: size, Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: path},
	}}})
}

func TestARememberedTokenIsJudgedByTimeAndKeys(t *testing.T) {
	old, next := signers()[jose.ES256], newSigner(jose.ES256)
	clock, path := newClock(), writeFile(t, jwks(old, next))
	verifier := remembering(t, clock.Now, path, 10)
	first, second := old.sign(claims("exp", "1800000002")), next.sign(claims())
	for range 2 {
		must(t, "live", verifier, first, nil)
		must(t, "live, of the next key", verifier, second, nil)
	}
	if verifier.Remembered() != 2 {
		t.Errorf("%d tokens are remembered, want 2", verifier.Remembered())
	}
	clock.step(2 * time.Second)
	must(t, "expired", verifier, first, verify.ErrExpired)
	if err := os.WriteFile(path, jwks(old), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.step(time.Second)
	must(t, "its key is gone", verifier, second, verify.ErrUnknownKey)
	if verifier.Remembered() != 0 {
		t.Errorf("%d tokens are remembered, want none", verifier.Remembered())
	}
}

func TestWhoeverGetsATokenMayChangeIt(t *testing.T) {
	signer := signers()[jose.EdDSA]
	verifier := remembering(t, newClock().Now, writeFile(t, jwks(signer)), 10)
	compact := signer.sign(claims())
	want, err := accepting(t, newClock(), signer).Verify(t.Context(), compact)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := verifier.Verify(t.Context(), compact)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("token (-want +got):\n%s", diff)
		}
		got.Subject, got.Scopes[0], got.Audience[0], got.Claims[0] = "root", "admin", "all", '['
	}
}

func TestMemoryIsBounded(t *testing.T) {
	signer := signers()[jose.EdDSA]
	verifier := remembering(t, newClock().Now, writeFile(t, jwks(signer)), 5)
	for i := range 20 {
		must(t, "each", verifier, signer.sign(claims("jti", fmt.Sprintf(`"%d"`, i))), nil)
	}
	if verifier.Remembered() != 5 {
		t.Errorf("%d tokens are remembered, want 5", verifier.Remembered())
	}
}

func TestManyVerifyAtOnceWhileKeysChange(t *testing.T) {
	signer := signers()[jose.EdDSA]
	clock, m := newClock(), newMount(t)
	m.put(jwks(signer))
	verifier := remembering(t, clock.Now, m.path(), 3)
	var tokens []string
	for i := range 6 {
		tokens = append(tokens, signer.sign(claims("jti", fmt.Sprintf(`"%d"`, i))))
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 200 {
				must(t, "at once", verifier, tokens[(i+j)%len(tokens)], nil)
			}
		})
	}
	for i := range 20 {
		m.put(append(jwks(signer), bytes.Repeat([]byte(" "), i)...))
		clock.step(time.Second)
	}
	all.Wait()
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		for name, size := range map[string]int{"new": 0, "remembered": 10} {
			b.Run(string(alg)+"/"+name, func(b *testing.B) {
				verifier := remembering(b, newClock().Now, writeFile(b, jwks(signers()[alg])), size)
				token := signers()[alg].sign(claims())
				b.ReportAllocs()
				for b.Loop() {
					if _, err := verifier.Verify(b.Context(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
