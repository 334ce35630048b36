package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/pkg/verify"
)

// ErrFollows says that the Directory has not taken in yet what a cache shows of a TokenPolicy.
var ErrFollows = errors.New("the gate does not follow the TokenPolicy yet")

// Assess returns what keeps a TokenPolicy from being Ready on this replica, a [kube.ProblemError] that is in the same words as long as
// it is the same problem; nil for nothing, [ErrFollows] where that is not known yet. It fetches the keys of external issuers if
// need be, within the limits that a token has too.
func (d *Directory) Assess(ctx context.Context, object *v1alpha1.TokenPolicy) error {
	policy := d.lookup(client.ObjectKeyFromObject(object))
	switch {
	case policy == nil || policy.inputs.uid != object.UID || policy.inputs.generation != object.Generation:
		return ErrFollows
	case policy.problem != nil:
		return policy.problem
	case policy.missing != nil:
		return policy.missing
	}
	var absent []string
	for _, one := range policy.issuers {
		if why := d.absent(ctx, one); why != "" {
			absent = append(absent, why)
		}
	}
	if len(absent) > 0 {
		return kube.Problemf(v1alpha1.ReasonKeysUnavailable, "%s", strings.Join(absent, "; "))
	}
	return nil
}

// absent says whose keys are not at hand, and why; nothing if they are.
func (d *Directory) absent(ctx context.Context, one issuer) string {
	if one.external == nil {
		if set, _ := d.published.JWKS(one.signed); set == nil {
			return fmt.Sprintf("SigningKey %s publishes no key: see its conditions", one.signed)
		}
		return ""
	}
	if err := one.shared.Ready(ctx); err != nil {
		return fmt.Sprintf("the keys of %s cannot be had: %s", one.name, inStableWords(err))
	}
	return ""
}

// inStableWords leaves out of an error what differs from one attempt to the next, such as ports and instants.
func inStableWords(err error) string {
	var (
		name        *net.DNSError
		untrusted   *tls.CertificateVerificationError
		invalid     x509.CertificateInvalidError
		refused     syscall.Errno
		interrupted net.Error
	)
	switch {
	case errors.As(err, &name):
		return "its host has no address"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet"
	case errors.As(err, &untrusted):
		return "its certificate is not trusted: " + untrusted.Err.Error()
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &interrupted) && interrupted.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "there is no answer within 5 seconds"
	default:
		return strings.TrimPrefix(err.Error(), verify.ErrKeysUnavailable.Error()+": ")
	}
}
