package webhook

import (
	"context"
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// docs/metrics.md lists all metrics.
var (
	refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "keyturn", Subsystem: "admission", Name: "refusals_total",
		Help: "Requests that admission refused, by webhook and reason; Error counts those that could not be judged.",
	}, []string{"webhook", "reason"})

	verificationDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "keyturn", Subsystem: "admission", Name: "token_verification_duration_seconds",
		Help:    "Time that judging a token in a Secret took, by result.",
		Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, 1},
	}, []string{"result"})
)

func init() {
	metrics.Registry.MustRegister(refusals, verificationDuration)
	for webhook, reasons := range reasonsOfWebhooks() {
		for _, reason := range append(reasons, reasonError) {
			refusals.WithLabelValues(webhook, reason)
		}
	}
	for _, result := range append(faultKinds()[1:], resultValid, reasonError) {
		verificationDuration.WithLabelValues(result)
	}
}

// The names of the webhooks in metrics.
const (
	nameSigningKey      = "signingkey"
	nameServiceToken    = "servicetoken"
	nameTokenClient     = "tokenclient"
	nameTokenRevocation = "tokenrevocation"
	nameTokenPolicy     = "tokenpolicy"
	nameSecret          = "secret"
	namePod             = "pod"
)

// Reasons and results beside the kinds of faults.
const (
	reasonError      = "Error"
	reasonTokenAlive = "TokenAlive"
	resultValid      = "Valid"
)

// reasonOfField is why a spec with a fault in that field, or below it, is refused.
type reasonOfField struct{ field, reason string }

// reasonsOfFields are for each kind of object, longer paths before those that they begin with.
func reasonsOfFields() map[string][]reasonOfField {
	return map[string][]reasonOfField{
		nameSigningKey: {
			{"spec.issuer", "IssuerMissing"},
			{"spec.rotation", "InvalidPolicy"},
			{"spec.tokens.maxDuration", "InvalidPolicy"},
			{"spec.tokens.rules", "InvalidRule"},
			{"spec.tokens.allowedNamespaces", "InvalidSelector"},
			{"spec.jwks.namespaces", "InvalidSelector"},
		},
		nameServiceToken: {
			{"spec.claims", "InvalidClaims"},
			{"spec.duration", "InvalidDuration"},
			{"spec.renewBefore", "InvalidDuration"},
			{"spec.expiresAt", "Ended"},
			{"spec.secretTemplate", "InvalidTemplate"},
			{"spec.signingKeyRef.namespace", "NamespaceNotAllowed"},
			{"spec.signingKeyRef", "SigningKeyNotUsable"},
			{"spec.subject", "SubjectNotAllowed"},
			{"spec", "RuleSaysNo"},
		},
		nameTokenClient: {
			{"spec.claims", "InvalidClaims"},
			{"spec.accessTokenDuration", "InvalidDuration"},
			{"spec.authentication.privateKeyJWT", "InvalidKeys"},
			{"spec.authentication.serviceAccounts", "InvalidSelector"},
			{"spec.signingKeyRef.namespace", "NamespaceNotAllowed"},
			{"spec.signingKeyRef", "SigningKeyNotUsable"},
			{"spec", "RuleSaysNo"},
		},
		nameTokenRevocation: {
			{"spec.issuedBefore", "InFuture"},
		},
		nameTokenPolicy: {
			{"spec.issuers", "InvalidIssuer"},
			{"spec.rules", "InvalidRule"},
			{"spec.headers", "InvalidHeader"},
		},
	}
}

func reasonsOfWebhooks() map[string][]string {
	reasons := map[string][]string{
		nameSigningKey:      {reasonTokenAlive},
		nameTokenRevocation: {reasonTokenAlive},
		nameSecret:          faultKinds(),
		namePod:             {expired.String(), revoked.String()},
	}
	for webhook, fields := range reasonsOfFields() {
		for _, f := range fields {
			reasons[webhook] = append(reasons[webhook], f.reason)
		}
	}
	return reasons
}

// reasonOf is why an object is refused that has a fault in that field.
func reasonOf(webhook, field string) string {
	for _, f := range reasonsOfFields()[webhook] {
		if strings.HasPrefix(field, f.field) {
			return f.reason
		}
	}
	return reasonError
}

// resultOf is what judging a token came to.
func resultOf(wrong *fault, err error) string {
	switch {
	case err != nil:
		return reasonError
	case wrong != nil:
		return wrong.kind.String()
	default:
		return resultValid
	}
}

// refusal is the answer to a request that is refused, with its reason for the metric.
type refusal struct {
	error
	reason string
}

func (r *refusal) Unwrap() error { return r.error }

// counted counts what a webhook refuses.
type counted[T runtime.Object] struct {
	validator admission.Validator[T]
	webhook   string
}

func (c counted[T]) ValidateCreate(ctx context.Context, object T) (admission.Warnings, error) {
	warnings, err := c.validator.ValidateCreate(ctx, object)
	return warnings, c.count(err)
}

func (c counted[T]) ValidateUpdate(ctx context.Context, old, object T) (admission.Warnings, error) {
	warnings, err := c.validator.ValidateUpdate(ctx, old, object)
	return warnings, c.count(err)
}

func (c counted[T]) ValidateDelete(ctx context.Context, object T) (admission.Warnings, error) {
	warnings, err := c.validator.ValidateDelete(ctx, object)
	return warnings, c.count(err)
}

func (c counted[T]) count(err error) error {
	if err == nil {
		return nil
	}
	reason := reasonError
	if refused := new(refusal); errors.As(err, &refused) {
		reason = refused.reason
	}
	refusals.WithLabelValues(c.webhook, reason).Inc()
	return err
}
