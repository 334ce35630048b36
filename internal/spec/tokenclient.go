package spec

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The defaults of a TokenClient's durations.
const (
	defaultAccessTokenDuration = 10 * time.Minute
	defaultIdleDuration        = 24 * time.Hour
	defaultAbsoluteDuration    = 720 * time.Hour
	defaultSecretOverlap       = 24 * time.Hour
)

// ClientID is the client_id of a TokenClient (RFC 6749 section 2.2). Neither part has a dot.
func ClientID(namespace, name string) string { return namespace + "." + name }

// ParseClientID says which TokenClient a client_id means, if it can be one.
func ParseClientID(id string) (types.NamespacedName, bool) {
	namespace, name, found := strings.Cut(id, ".")
	labels := found && len(validation.NameIsDNSLabel(namespace, false)) == 0 && len(validation.NameIsDNSLabel(name, false)) == 0
	if !labels {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, true
}

// ClientSubject is the "sub" of a TokenClient that asks for itself.
func ClientSubject(namespace, name string) string {
	return "system:tokenclient:" + namespace + ":" + name
}

// ClientKeyRef is the SigningKey that a TokenClient names.
func ClientKeyRef(c *v1alpha1.TokenClient) types.NamespacedName {
	return resolve(c.Spec.SigningKeyRef, c.Namespace)
}

// ClientSecretName is the Secret that holds the client secret; empty for a client that has none.
func ClientSecretName(c *v1alpha1.TokenClient) string {
	if c.Spec.Authentication.ClientSecret == nil {
		return ""
	}
	return cmp.Or(c.Spec.Authentication.ClientSecret.SecretName, c.Name+"-client")
}

// SecretOverlap is how long the client secret before stays valid after a rotation.
func SecretOverlap(c *v1alpha1.TokenClient) time.Duration {
	if c.Spec.Authentication.ClientSecret == nil {
		return 0
	}
	return duration(c.Spec.Authentication.ClientSecret.OverlapDuration, defaultSecretOverlap)
}

// Grants says whether a TokenClient may ask in that way.
func Grants(c *v1alpha1.TokenClient, grant v1alpha1.GrantType) bool {
	if len(c.Spec.GrantTypes) == 0 {
		return grant == v1alpha1.GrantClientCredentials
	}
	return slices.Contains(c.Spec.GrantTypes, grant)
}

// AccessTokenDuration is the life of the access tokens of a TokenClient.
func AccessTokenDuration(c *v1alpha1.TokenClient) time.Duration {
	return duration(c.Spec.AccessTokenDuration, defaultAccessTokenDuration)
}

// RefreshDurations are for how long one refresh token can be used, and for how long a client can go on refreshing.
func RefreshDurations(c *v1alpha1.TokenClient) (idle, absolute time.Duration) {
	if c.Spec.RefreshToken == nil {
		return defaultIdleDuration, defaultAbsoluteDuration
	}
	absolute = duration(c.Spec.RefreshToken.AbsoluteDuration, defaultAbsoluteDuration)
	return min(duration(c.Spec.RefreshToken.IdleDuration, defaultIdleDuration), absolute), absolute
}
