// Package certs makes the certificates of the local control plane.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	lifetime = 365 * 24 * time.Hour
	// backdated lets a clock that was just set back accept the certificates.
	backdated = time.Hour
)

// Pair is a certificate and its private key, both in PEM (the key as PKCS#8).
type Pair struct {
	Certificate []byte
	Key         []byte
}

// String keeps the private key out of logs.
func (p Pair) String() string {
	return "certificate and private key (redacted)"
}

// GoString keeps the private key out of logs.
func (p Pair) GoString() string {
	return p.String()
}

// Authority issues certificates that are good for one year from the instant it was created.
type Authority struct {
	Pair

	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority creates a certificate authority.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	template, err := newTemplate(pkix.Name{CommonName: name}, now)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	pair, key, err := issue(template, template, nil)
	if err != nil {
		return nil, fmt.Errorf("create certificate authority %q: %w", name, err)
	}
	return &Authority{Pair: pair, certificate: template, key: key}, nil
}

// Server issues a certificate for the DNS names and IP addresses. It is good for a client too, as etcd wants of its own.
func (a *Authority) Server(name string, hosts ...string) (Pair, error) {
	return a.issue(pkix.Name{CommonName: name}, hosts, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

// Client issues a certificate that Kubernetes takes for the user and the groups.
func (a *Authority) Client(user string, groups ...string) (Pair, error) {
	return a.issue(pkix.Name{CommonName: user, Organization: groups}, nil, x509.ExtKeyUsageClientAuth)
}

func (a *Authority) issue(subject pkix.Name, hosts []string, usages ...x509.ExtKeyUsage) (Pair, error) {
	template, err := newTemplate(subject, a.certificate.NotBefore.Add(backdated))
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = usages
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	pair, _, err := issue(template, a.certificate, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("issue certificate for %q: %w", subject.CommonName, err)
	}
	return pair, nil
}

func newTemplate(subject pkix.Name, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-backdated),
		NotAfter:     now.Add(lifetime),
	}, nil
}

// issue makes a key and has signer sign its certificate; without a signer the certificate signs itself.
func issue(template, parent *x509.Certificate, signer crypto.Signer) (Pair, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, nil, err
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, nil, err
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, key, nil
}
