package webhookcert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// view is what handshakes and probes see of the last pass; it is replaced, never changed.
type view struct {
	certificate *tls.Certificate
	// trusted is nil if nobody calls.
	trusted *x509.CertPool
	// authority is the trusted one that signed the certificate; nil if none did, or only by way of another.
	authority *x509.Certificate
}

var _ fmt.Formatter = view{}

// Format redacts under every verb.
func (view) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(redacted)) }

// show puts a certificate into service.
func (m *Manager) show(offered *tls.Certificate, trusted []*x509.Certificate, now time.Time) {
	if trusted == nil {
		m.view.Store(&view{certificate: offered})
		return
	}
	pool := poolOf(trusted)
	if present := m.view.Load(); present != nil {
		offered = choose(present.certificate, offered, pool, now)
	}
	m.view.Store(&view{certificate: offered, trusted: pool, authority: signerOf(offered.Leaf, trusted)})
}

// signerOf is the authority that signed a certificate; of several with one key the one that lasts longest.
func signerOf(certificate *x509.Certificate, authorities []*x509.Certificate) *x509.Certificate {
	var signer *x509.Certificate
	for _, authority := range authorities {
		if certificate.CheckSignatureFrom(authority) == nil && (signer == nil || authority.NotAfter.After(signer.NotAfter)) {
			signer = authority
		}
	}
	return signer
}

// choose keeps the certificate in service while callers accept it and do not yet accept the one from the Secret.
func choose(present, offered *tls.Certificate, trusted *x509.CertPool, now time.Time) *tls.Certificate {
	if verify(offered, trusted, now) != nil && verify(present, trusted, now) == nil {
		return present
	}
	return offered
}

// GetCertificate is for tls.Config: it answers from memory and follows every renewal. It fails until the first one is loaded.
func (m *Manager) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	present := m.view.Load()
	if present == nil {
		return nil, errors.New("webhook certificate is not loaded yet")
	}
	return present.certificate, nil
}

// Ready is a healthz.Checker. It returns nil only while the certificate in service is valid for every name and verified by the
// caBundle of every webhook, as they were last seen. Without a webhook configuration nobody calls, and all else that a replica
// serves must not be lost to whoever deletes it to get out of trouble.
func (m *Manager) Ready(*http.Request) error {
	err := m.accepted()
	if err == nil {
		return nil
	}
	if last := m.failure.Load(); last != nil {
		return fmt.Errorf("%w; last attempt to mend it: %w", err, *last)
	}
	return err
}

func (m *Manager) accepted() error {
	present := m.view.Load()
	if present == nil {
		return errors.New("webhook certificate is not loaded yet")
	}
	if present.trusted == nil {
		return isCurrent(present.certificate.Leaf, m.clock.Now())
	}
	return verify(present.certificate, present.trusted, m.clock.Now(), m.options.Names...)
}

func isCurrent(certificate *x509.Certificate, now time.Time) error {
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return fmt.Errorf("webhook certificate is valid from %s to %s",
			certificate.NotBefore.UTC().Format(time.RFC3339), certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
