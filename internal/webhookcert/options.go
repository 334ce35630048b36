package webhookcert

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// DefaultName is the name of the Secret when Options give none, and the one that the operator's Role allows.
const DefaultName = "keyturn-webhook-cert"

// Defaults of the durations in Options. The propagation is for the slowest of those who trust the CA: API servers need seconds,
// but a mounted ConfigMap takes two minutes to a pod, and its application reads it again when it pleases.
const (
	DefaultCALifetime      = 365 * 24 * time.Hour
	DefaultServingLifetime = 90 * 24 * time.Hour
	DefaultBackdate        = time.Hour
	DefaultPropagation     = time.Hour
	DefaultOverlap         = 7 * 24 * time.Hour
)

const (
	// A serving certificate falls due with a third of its life left, in which two propagations must fit.
	propagationsInServingLifetime = 6
	// An authority falls due with a third of its life left, which every certificate it has signed must fit.
	servingLifetimesInCALifetime = 3
)

// Options say where the certificate is kept and what it is for. A zero duration means its default.
type Options struct {
	// Namespace and SecretName name the Secret; SecretName defaults to DefaultName.
	Namespace  string
	SecretName string
	// WebhookConfiguration names the ValidatingWebhookConfiguration whose webhooks all get the caBundle.
	WebhookConfiguration string
	// Names are the DNS names and IP addresses under which API servers call the webhook, at least one.
	Names []string
	// FurtherNames are those of whatever else is served with the certificate. A managed one is for them too; an external one may
	// lack them.
	FurtherNames []string
	// CALifetime is at least three times ServingLifetime. A change applies to the next authority.
	CALifetime time.Duration
	// ServingLifetime is at least six times Propagation. A change applies to the next certificate.
	ServingLifetime time.Duration
	// Backdate is how far API servers' clocks may be behind; at most a tenth of a certificate's life is used.
	Backdate time.Duration
	// Propagation is how long API servers may need to act on a changed caBundle, and others on a changed ConfigMap, at least a
	// second.
	Propagation time.Duration
	// Overlap is how old a new CA is before it signs for no other reason than that it is the newest: as long have those who keep a
	// copy of the ConfigMap to make another. A certificate that lacks a name, or has lived five sixths of its life, does not wait
	// for them.
	Overlap time.Duration
	// External leaves Secret and caBundle to somebody else, such as cert-manager: both are read and never written, and no
	// ConfigMap is either. Ready still wants a caBundle that verifies the certificate.
	External bool
}

// allNames are the names that a managed certificate is for.
func (o Options) allNames() []string { return slices.Concat(o.Names, o.FurtherNames) }

func (o Options) withDefaults() Options {
	if o.SecretName == "" {
		o.SecretName = DefaultName
	}
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.CALifetime, DefaultCALifetime},
		{&o.ServingLifetime, DefaultServingLifetime},
		{&o.Backdate, DefaultBackdate},
		{&o.Propagation, DefaultPropagation},
		{&o.Overlap, DefaultOverlap},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	return o
}

func (o Options) validate() error {
	var faults []error
	if o.Namespace == "" {
		faults = append(faults, errors.New("namespace of the webhook certificate's Secret is empty: name the operator's namespace"))
	}
	if o.WebhookConfiguration == "" {
		faults = append(faults, errors.New("webhook configuration is empty: name the ValidatingWebhookConfiguration that calls this webhook"))
	}
	return errors.Join(append(append(faults, o.nameFaults()...), o.durationFaults()...)...)
}

func (o Options) nameFaults() []error {
	if len(o.Names) == 0 {
		return []error{errors.New("webhook names are empty: give the DNS names or IP addresses under which API servers call it")}
	}
	var faults []error
	for _, name := range o.allNames() {
		if !IsName(name) {
			faults = append(faults, fmt.Errorf("certificate name %q is neither a DNS name in lower case nor an IP address", name))
		}
	}
	return faults
}

// IsName says whether a certificate can be for the name: an IP address, or a DNS name in lower case (RFC 1123).
func IsName(name string) bool {
	return net.ParseIP(name) != nil || len(validation.IsDNS1123Subdomain(name)) == 0
}

func (o Options) durationFaults() []error {
	var faults []error
	for _, floor := range []struct {
		field   string
		value   time.Duration
		atLeast time.Duration
		because string
	}{
		{"propagation", o.Propagation, time.Second, "certificates know whole seconds only"},
		{"backdate", o.Backdate, 0, "a certificate that begins later is refused at first"},
		{"serving lifetime", o.ServingLifetime, propagationsInServingLifetime * o.Propagation, "a successor must be trusted before it is needed"},
		{"overlap", o.Overlap, 0, "a CA cannot sign before it exists"},
		{"CA lifetime", o.CALifetime, servingLifetimesInCALifetime * o.ServingLifetime, "a CA must outlive what it signs"},
	} {
		if floor.value < floor.atLeast {
			faults = append(faults, fmt.Errorf("webhook certificate %s is %s, less than %s: raise it, %s",
				floor.field, floor.value, floor.atLeast, floor.because))
		}
	}
	return faults
}
