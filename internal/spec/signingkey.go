// Package spec reads the API objects: it fills in the defaults that depend on other things than the object itself, and
// turns an object into the words of the domain. Controllers and admission read objects through it, so that they agree.
package spec

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// The defaults of durations, for objects that did not pass through the API server's defaulting.
const (
	defaultPeriod        = 720 * time.Hour
	defaultVerifierCache = time.Hour
	defaultPropagation   = 2 * time.Minute
	defaultSkew          = time.Minute
	defaultMaxDuration   = 24 * time.Hour
	defaultDuration      = time.Hour
)

// ErrIssuerMissing says that a SigningKey names no issuer and the operator has no external URL to make one from.
var ErrIssuerMissing = errors.New("spec.issuer is empty and the operator has no external URL to make one from: create the SigningKey anew with spec.issuer")

// Operator is what the operator's flags add to the objects.
type Operator struct {
	// ExternalURL is the https URL under which the operator serves discovery; empty if it does not.
	ExternalURL string
	// SignerStaleness is how long a signer that hears nothing goes on signing.
	SignerStaleness time.Duration
	// MinimumDuration is the floor on spec.rotation.period, spec.tokens.maxDuration and spec.duration.
	MinimumDuration time.Duration
	// HasTokenStore says that the operator has somewhere to keep refresh tokens.
	HasTokenStore bool
	// WatchedNamespaces are those that the operator works in; none means all.
	WatchedNamespaces []string
}

// The bounds of how old a replica's view of the cluster may be before it stops saying that it is ready. A verifier may be given
// the set of such a replica for that long, and for as long again as its readiness takes to get around; both must fit into the
// propagationDelay and clockSkew for which a key is published beyond the verifiers' cache time, 3 minutes by default.
const (
	longestView  = 2 * time.Minute
	shortestView = 5 * time.Second
)

// LongestView is how old what a replica knows of the cluster can be while it is Ready.
func (o Operator) LongestView() time.Duration {
	return max(shortestView, min(longestView, o.SignerStaleness))
}

// Policy returns what a SigningKey asks of its ring.
func (o Operator) Policy(key *v1alpha1.SigningKey) rotation.Policy {
	r := key.Spec.Rotation
	return rotation.Policy{
		Algorithm:       string(cmp.Or(key.Spec.Algorithm, "ES256")),
		Period:          duration(r.Period, defaultPeriod),
		VerifierCache:   duration(r.VerifierCacheDuration, defaultVerifierCache),
		Propagation:     duration(r.PropagationDelay, defaultPropagation),
		Skew:            duration(r.ClockSkew, defaultSkew),
		LongestToken:    MaxDuration(key),
		SignerStaleness: o.SignerStaleness,
		Revoked:         RevokedKeyIDs(key),
		RotateRequest:   rotateRequest(key.Annotations[v1alpha1.AnnotationRotateRequestedAt]),
	}
}

// Issuer returns the issuer in force, or ErrIssuerMissing.
func (o Operator) Issuer(key *v1alpha1.SigningKey) (string, error) {
	switch {
	case key.Spec.Issuer != "":
		return key.Spec.Issuer, nil
	case o.ExternalURL != "":
		return fmt.Sprintf("%s/%s/%s", o.ExternalURL, key.Namespace, key.Name), nil
	default:
		return "", ErrIssuerMissing
	}
}

// MaxDuration is the longest life of a token of that key.
func MaxDuration(key *v1alpha1.SigningKey) time.Duration {
	return duration(key.Spec.Tokens.MaxDuration, defaultMaxDuration)
}

// RevokedKeyIDs are the key IDs that the SigningKey names as compromised.
func RevokedKeyIDs(key *v1alpha1.SigningKey) []string {
	var ids []string
	for _, id := range key.Spec.RevokedKeyIDs {
		ids = append(ids, string(id))
	}
	return ids
}

// RingSecretName is the Secret that holds the ring.
func RingSecretName(key *v1alpha1.SigningKey) string {
	return cmp.Or(key.Spec.SecretName, key.Name+"-signing-key")
}

// JWKSName is the ConfigMap that publishes the ring, the same in every namespace.
func JWKSName(key *v1alpha1.SigningKey) string {
	return cmp.Or(key.Spec.JWKS.Name, key.Name+"-jwks")
}

// Namespace is what rules and selectors may know of a namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// Allows says whether ServiceTokens of that namespace may use the key. It fails if the selector is not one.
func Allows(key *v1alpha1.SigningKey, ns Namespace) (bool, error) {
	if ns.Name == key.Namespace {
		return true, nil
	}
	switch allowed := key.Spec.Tokens.AllowedNamespaces; allowed.From {
	case v1alpha1.NamespacesFromAll:
		return true, nil
	case v1alpha1.NamespacesFromSelector:
		return Selects(allowed.Selector, ns)
	case v1alpha1.NamespacesFromSame:
		return false, nil
	default:
		return false, nil
	}
}

// Selects says whether a selector chooses a namespace. No selector chooses none, an empty one all.
func Selects(selector *metav1.LabelSelector, ns Namespace) (bool, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("read label selector: %w", err)
	}
	return s.Matches(labels.Set(ns.Labels)), nil
}

// Older says whether the first SigningKey claims an issuer before the second: by age, then by namespace and name.
func Older(a, b *v1alpha1.SigningKey) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) < 0
}

func duration(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.Duration
}

// rotateRequest shortens the value of the annotation: the ring remembers it, and it may be of any length.
func rotateRequest(value string) string {
	const longest = 64
	if len(value) <= longest {
		return value
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(value)))
}

// KeyOf names the SigningKey that an object was labelled with, if it was.
func KeyOf(object metav1.Object) (types.NamespacedName, bool) {
	marks := object.GetLabels()
	name := types.NamespacedName{Namespace: marks[v1alpha1.LabelSigningKeyNamespace], Name: marks[v1alpha1.LabelSigningKey]}
	return name, name.Name != "" && name.Namespace != "" && marks[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
}
