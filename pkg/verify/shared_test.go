package verify_test

import (
	"context"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func TestSharedKeysAreOfOneIssuer(t *testing.T) {
	shared, err := verify.Share(issuer, verify.URL{URL: keysURL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = verify.New(verify.Options{Issuers: []verify.Issuer{{Name: "another", Audiences: []string{audience}, Keys: shared}}})
	if err == nil || !strings.Contains(err.Error(), "Keys: ") {
		t.Errorf("got %v", err)
	}
	if _, err := verify.Share(issuer, verify.URL{URL: "http://keys.example.com"}, nil); err == nil {
		t.Error("keys are fetched without TLS")
	}
}

func TestTheCACanBeGivenItself(t *testing.T) {
	site, clock, signer := newSite(t), newClock(), signers()[jose.ES256]
	site.put("/jwks.json", page(jwks(signer)))
	token := signer.sign(claims("iss", `"`+site.URL+`"`))
	source := verify.URL{URL: site.URL + "/jwks.json", Fetch: verify.Fetch{CA: site.ca()}}
	must(t, "its CA", site.of(t, clock, "", source), token, nil)
	source.CA = otherCA(t)
	must(t, "another CA", site.of(t, clock, "", source), token, verify.ErrKeysUnavailable)
	for want, fetch := range map[string]verify.Fetch{
		"CA has no certificate in PEM": {CA: []byte("no certificate")},
		"CA and CAFile are both set":   {CA: site.ca(), CAFile: "ca.crt"},
	} {
		_, err := verify.New(verify.Options{Issuers: []verify.Issuer{{Name: issuer, Audiences: []string{audience}, Keys: verify.Discovery{Fetch: fetch}}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestLookupsAmongRememberedTokensAreTold(t *testing.T) {
	signer := signers()[jose.EdDSA]
	var told []bool
	verifier := newVerifier(t, verify.Options{
		CacheSize: 1, Clock: newClock().Now, Recalled: func(_ context.Context, found bool) { told = append(told, found) },
		Issuers: []verify.Issuer{{Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: writeFile(t, jwks(signer))}}},
	})
	for range 2 {
		must(t, "live", verifier, signer.sign(claims()), nil)
	}
	if len(told) != 2 || told[0] || !told[1] {
		t.Errorf("told %v", told)
	}
}
