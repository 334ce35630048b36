// Package clientsecret is the Secret of a TokenClient: whose it is, and which client secrets are valid by it. The controller
// that keeps it and whoever proves clients read it alike.
package clientsecret

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
)

// kind is the kind that owns such Secrets.
const kind = "TokenClient"

// Keeper is who keeps a Secret.
type Keeper int

const (
	// Foreign is a Secret that has nothing to do with the TokenClient. It is never used and never touched.
	Foreign Keeper = iota
	// Keyturn has made the Secret, and rotates it.
	Keyturn
	// User is whoever made a Secret of the right type and label. It is used as it is, and never written.
	User
)

// KeeperOf says who keeps a Secret of the name that a TokenClient has for its own. Keyturn's own are controlled by the
// TokenClient, or were restored from a backup without their owner, or with an earlier one.
func KeeperOf(client *v1alpha1.TokenClient, secret *corev1.Secret) Keeper {
	named, isNamed := secret.Labels[v1alpha1.LabelTokenClient]
	_, made := secret.Annotations[v1alpha1.AnnotationRotateRequestedAt]
	owner := metav1.GetControllerOf(secret)
	switch {
	case secret.Type != v1alpha1.SecretTypeClientSecret:
		return Foreign
	case metav1.IsControlledBy(secret, client):
		return Keyturn
	case secret.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy, isNamed && named != client.Name:
		return Foreign
	case owner == nil && !made, owner != nil && !isOurs(owner):
		return User
	case kube.Owns(client, kind, secret):
		return Keyturn
	default:
		return Foreign
	}
}

func isOurs(owner *metav1.OwnerReference) bool {
	return owner.Kind == kind && owner.APIVersion == v1alpha1.GroupVersion.String()
}

// Content is what a Secret holds.
type Content struct {
	// Current is the client secret; zero if there is none, or none that can be used.
	Current Value
	// Previous is the one before; zero if there is none. It is valid before PreviousExpiry, or without an end in a Secret that
	// a user keeps and that names none.
	Previous       Value
	PreviousExpiry time.Time
	// Answered is the last rotation that was asked for and done.
	Answered string
	// Problem says why Current cannot be used; empty if it can.
	Problem string
}

// Read reads the Secret that a keeper keeps.
func Read(secret *corev1.Secret, keeper Keeper) Content {
	c := Content{
		Current:  NewValue(string(secret.Data[v1alpha1.SecretKeyClientSecret])),
		Previous: NewValue(string(secret.Data[v1alpha1.SecretKeyPreviousClientSecret])),
		Answered: secret.Annotations[v1alpha1.AnnotationRotateRequestedAt],
	}
	if c.Current.IsZero() {
		c.Problem = "is missing or empty: put a random text of at least 32 characters there"
	} else if c.Problem = c.Current.problem(); c.Problem != "" {
		c.Current = Value{}
	}
	if c.Previous.problem() != "" {
		c.Previous = Value{}
		return c
	}
	until, limited := secret.Annotations[v1alpha1.AnnotationPreviousSecretExpiresAt]
	if !limited && keeper == User {
		return c
	}
	expiry, err := time.Parse(time.RFC3339, until)
	if err != nil { // A secret that shall end, nobody knows when, has ended.
		c.Previous = Value{}
		return c
	}
	c.PreviousExpiry = expiry
	return c
}

// Accepts says whether what a client has sent is a client secret that is valid now. It costs the same whatever there is.
func (c Content) Accepts(sent Value, now time.Time) bool {
	current, previous := c.Current.Equals(sent), c.Previous.Equals(sent)
	return current || previous && c.IsPreviousValid(now)
}

// IsPreviousValid says whether the client secret before the last rotation is still valid.
func (c Content) IsPreviousValid(now time.Time) bool {
	return !c.Previous.IsZero() && (c.PreviousExpiry.IsZero() || now.Before(c.PreviousExpiry))
}
