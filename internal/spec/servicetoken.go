package spec

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
)

// KeyRef is the SigningKey that a ServiceToken names.
func KeyRef(t *v1alpha1.ServiceToken) types.NamespacedName {
	return resolve(t.Spec.SigningKeyRef, t.Namespace)
}

// resolve is the SigningKey that a reference in an object of that namespace names.
func resolve(ref v1alpha1.SigningKeyReference, namespace string) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(ref.Namespace, namespace), Name: ref.Name}
}

// TokenSecretName is the Secret that holds the token.
func TokenSecretName(t *v1alpha1.ServiceToken) string {
	return cmp.Or(t.Spec.SecretName, t.Name)
}

// ServiceAccountSubject is the "sub" of a ServiceAccount, as Kubernetes' own tokens have it.
func ServiceAccountSubject(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

// Duration is the life that a ServiceToken asks for.
func Duration(t *v1alpha1.ServiceToken) time.Duration {
	return duration(t.Spec.Duration, defaultDuration)
}

// Request returns what a ServiceToken asks of its key, or what is wrong with its claims.
func (o Operator) Request(t *v1alpha1.ServiceToken, key *v1alpha1.SigningKey) (token.Request, error) {
	issuer, err := o.Issuer(key)
	if err != nil {
		return token.Request{}, fmt.Errorf("read issuer of SigningKey %s/%s: %w", key.Namespace, key.Name, err)
	}
	var raw []byte
	if t.Spec.Claims != nil {
		raw = t.Spec.Claims.Raw
	}
	claims, err := token.ParseClaims(raw)
	if err != nil {
		return token.Request{}, fmt.Errorf("spec.claims %w", err)
	}
	r := token.Request{
		Issuer:      issuer,
		Subject:     t.Spec.Subject,
		Type:        token.TypeJWT,
		Claims:      claims,
		Duration:    Duration(t),
		RenewBefore: duration(t.Spec.RenewBefore, 0),
		Skew:        o.Policy(key).Skew,
		Jitter:      jitter(t),
	}
	if t.Spec.ServiceAccountName != "" {
		r.Subject = ServiceAccountSubject(t.Namespace, t.Spec.ServiceAccountName)
	}
	if t.Spec.Profile == v1alpha1.ProfileAccessToken {
		r.Type = token.TypeAccessToken
	}
	if t.Spec.ExpiresAt != nil {
		r.ExpiresAt = t.Spec.ExpiresAt.Time
	}
	for _, a := range t.Spec.Audiences {
		r.Audiences = append(r.Audiences, string(a))
	}
	return r, nil
}

// jitter is a number from 0 to 1 that is the same for one object at all times, also when it is restored under another
// UID.
func jitter(t *v1alpha1.ServiceToken) float64 {
	sum := sha256.Sum256([]byte(t.Namespace + "/" + t.Name))
	return float64(binary.BigEndian.Uint64(sum[:])) / math.MaxUint64
}
