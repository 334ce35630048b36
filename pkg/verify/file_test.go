package verify_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

// mount is a folder as the kubelet makes it: a change is another folder, and one rename of a link to it.
type mount struct {
	t      *testing.T
	folder string
	next   int
}

func newMount(t *testing.T) *mount {
	t.Helper()
	m := &mount{t: t, folder: t.TempDir()}
	if err := os.Symlink(filepath.Join("..data", "jwks.json"), m.path()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mount) path() string { return filepath.Join(m.folder, "jwks.json") }

func (m *mount) put(content []byte) {
	m.t.Helper()
	m.next++
	version := fmt.Sprint("..version", m.next)
	for _, err := range []error{
		os.Mkdir(filepath.Join(m.folder, version), 0o700),
		os.WriteFile(filepath.Join(m.folder, version, "jwks.json"), content, 0o600),
		os.Symlink(version, filepath.Join(m.folder, "..data_tmp")),
		os.Rename(filepath.Join(m.folder, "..data_tmp"), filepath.Join(m.folder, "..data")),
	} {
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mount) verifier(clock *stepped, maxStale time.Duration) *verify.Verifier {
	m.t.Helper()
	return newVerifier(m.t, verify.Options{Clock: clock.Now, CacheSize: 10, Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: m.path(), MaxStale: maxStale},
	}}})
}

// must judges a token and expects that answer.
func must(t *testing.T, when string, verifier *verify.Verifier, token string, want error) {
	t.Helper()
	if _, err := verifier.Verify(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", when, err, want)
	}
}

func TestAMountedFileIsFollowedThroughARotation(t *testing.T) {
	old, next := signers()[jose.ES256], newSigner(jose.ES256)
	before, after := old.sign(claims()), next.sign(claims())
	m, clock := newMount(t), newClock()
	verifier := m.verifier(clock, 0)

	must(t, "there is no file", verifier, before, verify.ErrKeysUnavailable)
	m.put(jwks(old))
	must(t, "it came within the second", verifier, before, verify.ErrKeysUnavailable)
	clock.step(time.Second)
	must(t, "a second later", verifier, before, nil)
	must(t, "the next key is not there", verifier, after, verify.ErrUnknownKey)

	m.put(jwks(next, old))
	must(t, "the set was replaced within the second", verifier, after, verify.ErrUnknownKey)
	clock.step(time.Second)
	must(t, "a second later, the next key", verifier, after, nil)
	must(t, "a second later, the old key", verifier, before, nil)

	m.put(jwks(next))
	clock.step(time.Second)
	must(t, "the old key was taken away", verifier, before, verify.ErrUnknownKey)
	must(t, "the next key stays", verifier, after, nil)
}

func TestTheLastGoodFileIsUsedForAWhile(t *testing.T) {
	signer := signers()[jose.ES256]
	token := signer.sign(claims())
	for name, broken := range map[string][]byte{"empty": {}, "half written": jwks(signer)[:40], "private": jwkSet(with(signer.public(), "d", "AA"))} {
		t.Run(name, func(t *testing.T) {
			m, clock := newMount(t), newClock()
			verifier := m.verifier(clock, time.Minute)
			m.put(jwks(signer))
			must(t, "the file is good", verifier, token, nil)
			m.put(broken)
			clock.step(time.Second)
			must(t, "the file is broken", verifier, token, nil)
			must(t, "whether another key is there cannot be known", verifier, newSigner(jose.ES256).sign(claims()), verify.ErrKeysUnavailable)
			clock.step(59 * time.Second)
			must(t, "just before its time is up", verifier, token, nil)
			clock.step(time.Second)
			must(t, "its time is up", verifier, token, verify.ErrKeysUnavailable)
			m.put(jwks(signer))
			clock.step(time.Second)
			must(t, "the file is good again", verifier, token, nil)
		})
	}
}

func TestNothingIsStaleWhereNothingMayBe(t *testing.T) {
	signer := signers()[jose.ES256]
	m, clock := newMount(t), newClock()
	verifier := m.verifier(clock, -1)
	m.put(jwks(signer))
	must(t, "the file is good", verifier, signer.sign(claims()), nil)
	m.put(nil)
	clock.step(time.Second)
	must(t, "the file is broken", verifier, signer.sign(claims()), verify.ErrKeysUnavailable)
}

func TestReadyTellsWhoseKeysAreNotAtHand(t *testing.T) {
	m, clock := newMount(t), newClock()
	verifier := m.verifier(clock, 0)
	if err := verifier.Ready(t.Context()); !errors.Is(err, verify.ErrKeysUnavailable) || !errors.Is(err, os.ErrNotExist) || !containsText(err, issuer) {
		t.Errorf("there is no file: got %v", err)
	}
	m.put(jwks(signers()[jose.ES256]))
	clock.step(time.Second)
	if err := verifier.Ready(t.Context()); err != nil {
		t.Errorf("there is one: got %v", err)
	}
}

func TestAClockThatIsSetBackMakesNoSetGoodForLonger(t *testing.T) {
	signer := signers()[jose.ES256]
	m, clock := newMount(t), newClock()
	verifier := m.verifier(clock, -1)
	m.put(jwks(signer))
	must(t, "the file is good", verifier, signer.sign(claims()), nil)
	m.put(jwks())
	clock.step(-50 * time.Second)
	must(t, "set back", verifier, signer.sign(claims()), verify.ErrUnknownKey)
}
