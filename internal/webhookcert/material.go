package webhookcert

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The Secret's entries beside those of type kubernetes.io/tls. The authorities in ca.crt stand newest first; ca.key belongs to
// the first, the keys of the others are destroyed.
const (
	authoritiesEntry  = "ca.crt"
	authorityKeyEntry = "ca.key"
	privateKeyBlock   = "PRIVATE KEY"
)

const redacted = "webhook certificate material (redacted)"

// Material is what the Secret holds, as far as it could be read: parts that are missing or damaged are absent. It holds private
// keys and shows none of them when printed or logged.
type Material struct {
	authorities []*x509.Certificate
	signer      crypto.Signer
	serving     *tls.Certificate
}

// ParseMaterial reads a Secret's data.
func ParseMaterial(data map[string][]byte) Material {
	var material Material
	material.authorities = slices.DeleteFunc(parseBundle(data[authoritiesEntry]),
		func(certificate *x509.Certificate) bool { return !certificate.IsCA })
	if len(material.authorities) > 0 {
		material.signer = parseSigner(data[authorityKeyEntry], material.authorities[0])
	}
	if serving, err := parseServing(data); err == nil {
		material.serving = serving
	}
	return material
}

// parseServing reads the certificate and its key; they must belong together.
func parseServing(data map[string][]byte) (*tls.Certificate, error) {
	serving, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("read %s and %s: %w", corev1.TLSCertKey, corev1.TLSPrivateKeyKey, err)
	}
	return &serving, nil
}

// parseSigner returns nil for whatever is not the private key of authority.
func parseSigner(text []byte, authority *x509.Certificate) crypto.Signer {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(authority.PublicKey) {
		return nil
	}
	return signer
}

// encode returns the Secret's data; the material must be complete.
func (m Material) encode() (map[string][]byte, error) {
	if m.signer == nil || m.serving == nil {
		return nil, errors.New("encode webhook certificate: incomplete")
	}
	authorityKey, err := encodeKey(m.signer)
	if err != nil {
		return nil, err
	}
	servingKey, err := encodeKey(m.serving.PrivateKey)
	if err != nil {
		return nil, err
	}
	var chain []byte
	for _, certificate := range m.serving.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate})...)
	}
	return map[string][]byte{
		authoritiesEntry:        encodeBundle(m.authorities),
		authorityKeyEntry:       authorityKey,
		corev1.TLSCertKey:       chain,
		corev1.TLSPrivateKeyKey: servingKey,
	}, nil
}

func encodeKey(key crypto.PrivateKey) ([]byte, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateKeyBlock, Bytes: encoded}), nil
}

// canSign answers whether there is an authority that is valid now, with its key.
func (m Material) canSign(now time.Time) bool {
	return m.signer != nil && !now.Before(m.authorities[0].NotBefore) && !now.After(m.authorities[0].NotAfter)
}

// canServe answers whether there is a serving certificate that a client with all authorities accepts now.
func (m Material) canServe(now time.Time) bool {
	return m.serving != nil && verify(m.serving, poolOf(m.authorities), now) == nil
}

// verify does what a client that trusts roots does with a certificate at an instant, for each of names.
func verify(certificate *tls.Certificate, roots *x509.CertPool, now time.Time, names ...string) error {
	intermediates := x509.NewCertPool()
	for _, der := range certificate.Certificate[1:] {
		if intermediate, err := x509.ParseCertificate(der); err == nil {
			intermediates.AddCert(intermediate)
		}
	}
	if _, err := certificate.Leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return fmt.Errorf("verify webhook certificate: %w", err)
	}
	return covers(certificate.Leaf, names)
}

func covers(leaf *x509.Certificate, names []string) error {
	for _, name := range names {
		if err := leaf.VerifyHostname(name); err != nil {
			return fmt.Errorf("verify webhook certificate: %w", err)
		}
	}
	return nil
}

// String redacts.
func (m Material) String() string { return redacted }

// GoString redacts.
func (m Material) GoString() string { return redacted }

// Format redacts under every verb.
func (m Material) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(redacted)) }

// LogValue redacts.
func (m Material) LogValue() slog.Value { return slog.StringValue(redacted) }
