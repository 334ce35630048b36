package spec

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The defaults of an issuer elsewhere.
const (
	defaultCacheDuration = time.Hour
	defaultMaxStale      = time.Hour
)

// PolicyKeyRef is the SigningKey that an issuer of a TokenPolicy names; false for an issuer elsewhere.
func PolicyKeyRef(p *v1alpha1.TokenPolicy, issuer v1alpha1.PolicyIssuer) (types.NamespacedName, bool) {
	if issuer.SigningKeyRef == nil {
		return types.NamespacedName{}, false
	}
	return resolve(*issuer.SigningKeyRef, p.Namespace), true
}

// PolicyKeyRefs are the SigningKeys that a TokenPolicy names.
func PolicyKeyRefs(p *v1alpha1.TokenPolicy) []types.NamespacedName {
	var refs []types.NamespacedName
	for _, issuer := range p.Spec.Issuers {
		if ref, ok := PolicyKeyRef(p, issuer); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

// PolicySkew is how much longer than its life a TokenPolicy accepts a token.
func PolicySkew(p *v1alpha1.TokenPolicy) time.Duration { return duration(p.Spec.ClockSkew, 0) }

// HeedsDenyList says whether a TokenPolicy refuses tokens that were taken back.
func HeedsDenyList(p *v1alpha1.TokenPolicy) bool { return p.Spec.DenyList != v1alpha1.DenyListDisabled }

// ExternalCache is how long the keys of an issuer elsewhere are kept, and for how much longer while it cannot be reached.
func ExternalCache(e *v1alpha1.ExternalIssuer) (cache, stale time.Duration) {
	return duration(e.CacheDuration, defaultCacheDuration), duration(e.MaxStale, defaultMaxStale)
}
