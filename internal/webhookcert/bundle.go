package webhookcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
)

const certificateBlock = "CERTIFICATE"

// parseBundle returns the certificates in PEM text and skips what is none, so that one damaged block costs no other its trust.
func parseBundle(text []byte) []*x509.Certificate {
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certificateBlock {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			certificates = append(certificates, certificate)
		}
	}
	return certificates
}

func encodeBundle(authorities []*x509.Certificate) []byte {
	var text []byte
	for _, authority := range authorities {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: authority.Raw})...)
	}
	return text
}

func poolOf(authorities []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, authority := range authorities {
		pool.AddCert(authority)
	}
	return pool
}

// trustedBy returns the certificates that every webhook's bundle holds: only what they verify is accepted on every call. It
// returns nil only if there is no webhook, and so nobody calls.
func trustedBy(configuration *admissionregistrationv1.ValidatingWebhookConfiguration) []*x509.Certificate {
	if len(configuration.Webhooks) == 0 {
		return nil
	}
	common := []*x509.Certificate{}
	for i, webhook := range configuration.Webhooks {
		bundle := parseBundle(webhook.ClientConfig.CABundle)
		if i == 0 {
			common = append(common, bundle...)
			continue
		}
		common = slices.DeleteFunc(common, func(authority *x509.Certificate) bool {
			return !slices.ContainsFunc(bundle, authority.Equal)
		})
	}
	return common
}

// Sightings hold since when each authority has been seen in every webhook's bundle without a break.
type Sightings map[[sha256.Size]byte]time.Time

// Update returns the sightings after trusted were seen at now, and no others.
func (s Sightings) Update(trusted []*x509.Certificate, now time.Time) Sightings {
	updated := make(Sightings, len(trusted))
	for _, authority := range trusted {
		id := sha256.Sum256(authority.Raw)
		updated[id] = now
		if since, known := s[id]; known {
			updated[id] = since
		}
	}
	return updated
}

// since answers when the current run of sightings of authority began.
func (s Sightings) since(authority *x509.Certificate) (time.Time, bool) {
	at, seen := s[sha256.Sum256(authority.Raw)]
	return at, seen
}
