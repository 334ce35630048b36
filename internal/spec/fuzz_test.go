package spec_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/spec"
)

// FuzzParseCABundle: a bundle is certificates and nothing else, and no error shows a private key that somebody put there.
func FuzzParseCABundle(f *testing.F) {
	site := httptest.NewTLSServer(http.NotFoundHandler())
	site.Close()
	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("the key of somebody")}))
	for _, seed := range []string{"", good, "my CA\n" + good + good, good + key, good[:200] + good, good + good[:200], strings.ReplaceAll(good, "CERTIFICATE", "X509 CRL"), strings.ToLower(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pool, err := spec.ParseCABundle(text)
		if (err == nil) != (pool != nil) {
			t.Fatalf("error %v with pool %v", err, pool)
		}
		if err != nil {
			mustNotQuoteLine(t, err.Error(), text)
			return
		}
		certificates := 0
		for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
			certificates++
			if block.Type != "CERTIFICATE" {
				t.Errorf("a %q is taken", block.Type)
			}
		}
		if certificates == 0 {
			t.Error("a bundle of nothing is taken")
		}
	})
}

// mustNotQuoteLine fails if an error shows a line of base64, and not only words that are its own.
func mustNotQuoteLine(t *testing.T, message, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 16 && !strings.ContainsAny(line, " -") && strings.Contains(message, line) {
			t.Errorf("%q shows %q", message, line)
		}
	}
}
