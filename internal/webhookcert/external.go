package webhookcert

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// showExternal puts the certificate into service that somebody else keeps, and says what it lacks. The former one stays in
// service while callers accept that and perhaps not this, as they do until they have learned of another CA.
func (m *Manager) showExternal(secret *corev1.Secret, trusted []*x509.Certificate, now time.Time) (outcome, error) {
	serving, err := m.readExternal(secret)
	if err != nil {
		return outcome{}, err
	}
	m.seen = m.seen.Update(trusted, now)
	known := m.knownFrom(serving, trusted, now)
	if present := m.view.Load(); present != nil && now.Before(known) && verify(present.certificate, poolOf(trusted), now) == nil {
		m.show(present.certificate, trusted, now)
		return outcome{next: known}, nil
	}
	m.show(serving, trusted, now)
	if err := verify(serving, poolOf(trusted), now, m.options.Names...); err != nil {
		return outcome{}, fmt.Errorf("secret %s/%s, which is external: %w: it must be valid for %s, and the caBundle of every webhook of "+
			"ValidatingWebhookConfiguration %s must hold its CA", secret.Namespace, secret.Name, err,
			strings.Join(m.options.Names, " and "), m.options.WebhookConfiguration)
	}
	return outcome{next: expiry(serving.Leaf)}, nil
}

// knownFrom is from when every API server knows a CA that verifies the certificate; zero if none is in the bundles.
func (m *Manager) knownFrom(serving *tls.Certificate, trusted []*x509.Certificate, now time.Time) time.Time {
	var from time.Time
	for _, authority := range trusted {
		since, _ := m.seen.since(authority)
		if learned := since.Add(m.options.Propagation); verify(serving, poolOf([]*x509.Certificate{authority}), now) == nil &&
			(from.IsZero() || learned.Before(from)) {
			from = learned
		}
	}
	return from
}

func (m *Manager) readExternal(secret *corev1.Secret) (*tls.Certificate, error) {
	if secret == nil {
		return nil, fmt.Errorf("read webhook certificate: secret %s/%s does not exist, and as it is external Keyturn does not create it",
			m.options.Namespace, m.options.SecretName)
	}
	serving, err := parseServing(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("read webhook certificate: secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return serving, nil
}
