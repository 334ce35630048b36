package spec

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParseCABundle reads the certificates of a caBundle, in PEM (RFC 7468): one or more, and nothing else but text between them.
func ParseCABundle(bundle string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	rest, found := []byte(bundle), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is a %q: give certificates alone", found, block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d is no certificate (RFC 5280): remove it", found)
		}
		pool.AddCert(certificate)
	}
	switch {
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return nil, fmt.Errorf("after block %d is another that is not PEM: mend or remove it", found)
	case found == 0:
		return nil, errors.New("there is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----")
	default:
		return pool, nil
	}
}
