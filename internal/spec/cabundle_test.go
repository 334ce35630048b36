package spec_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/spec"
)

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: epoch(), NotAfter: epoch().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestParseCABundle(t *testing.T) {
	one := certificate(t)
	cases := map[string]struct{ bundle, want string }{
		"one certificate":              {one, ""},
		"two with names between them":  {"# a\n" + one + "\n# b\n" + one + "\n", ""},
		"nothing":                      {"", "there is no certificate in PEM"},
		"a text":                       {"-", "there is no certificate in PEM"},
		"a private key":                {one + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hunter2")})), `block 2 is a "PRIVATE KEY": give certificates alone`},
		"what only looks like one":     {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "block 1 is no certificate (RFC 5280)"},
		"one that is cut off":          {one + strings.TrimSuffix(one, "-\n"), "after block 1 is another that is not PEM"},
		"nothing but one that is torn": {strings.TrimSuffix(one, "-\n"), "after block 0 is another that is not PEM"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pool, err := spec.ParseCABundle(c.bundle)
			if (err == nil) != (c.want == "") || err == nil && pool == nil || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
