package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/hack/local/certs"
)

func TestIssuedCertificatesVerify(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	authority, err := certs.NewAuthority("test", now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Server("server", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Client("jane", "system:masters")
	if err != nil {
		t.Fatal(err)
	}

	for name, test := range map[string]struct {
		pair    certs.Pair
		options x509.VerifyOptions
		refused bool
	}{
		"a server under its DNS name":            {pair: server, options: x509.VerifyOptions{DNSName: "localhost"}},
		"a server under its address":             {pair: server, options: x509.VerifyOptions{DNSName: "127.0.0.1"}},
		"a server under another name":            {pair: server, options: x509.VerifyOptions{DNSName: "example.com"}, refused: true},
		"a client":                               {pair: client, options: x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}},
		"a client that poses as a server":        {pair: client, options: x509.VerifyOptions{}, refused: true},
		"a server almost a year later":           {pair: server, options: x509.VerifyOptions{CurrentTime: now.AddDate(0, 0, 364)}},
		"a server for a clock that was set back": {pair: server, options: x509.VerifyOptions{CurrentTime: now.Add(-time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			loaded, err := tls.X509KeyPair(test.pair.Certificate, test.pair.Key)
			if err != nil {
				t.Fatal(err)
			}
			test.options.Roots = x509.NewCertPool()
			test.options.Roots.AppendCertsFromPEM(authority.Certificate)
			if test.options.CurrentTime.IsZero() {
				test.options.CurrentTime = now
			}
			if _, err := loaded.Leaf.Verify(test.options); (err != nil) != test.refused {
				t.Errorf("refused = %v, want %v: %v", err != nil, test.refused, err)
			}
		})
	}
}

func TestPairHidesItsKey(t *testing.T) {
	pair := certs.Pair{Key: []byte("secret")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if printed := fmt.Sprintf(verb, pair); strings.Contains(printed, "secret") {
			t.Errorf("%s prints %q", verb, printed)
		}
	}
}
