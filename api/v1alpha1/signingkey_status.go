package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SigningKeyStatus is what the operator has observed of a SigningKey.
//
// +kubebuilder:validation:MinProperties=1
type SigningKeyStatus struct {
	// conditions are Ready (a key signs, and its JWKS is where the spec wants it),
	// Propagated (every copy of the JWKS holds the keys of the ring) and
	// RingIntact (the ring Secret was not lost). All are True when all is well.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of;
	// -1 until the operator has seen the object.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ringGeneration counts the changes of the ring. A ring Secret with a lower
	// one was restored from an older copy.
	// +optional
	// +kubebuilder:validation:Minimum=1
	RingGeneration int64 `json:"ringGeneration,omitempty"`

	// issuer is the issuer in force: spec.issuer, or the default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Issuer string `json:"issuer,omitempty"`

	// keys are the keys of the ring, newest first, and the revoked keys that are
	// still denied.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=84
	Keys []KeyStatus `json:"keys,omitempty"`

	// activeKeyID is the ID of the key that signs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=43
	ActiveKeyID string `json:"activeKeyID,omitempty"`

	// nextTransitionTime is when the next planned change of the ring is due.
	// +optional
	NextTransitionTime *metav1.Time `json:"nextTransitionTime,omitempty"`
}

// KeyState is where a key stands in its life.
//
// +kubebuilder:validation:Enum=Pending;Active;Retired;Revoked
type KeyState string

// The states of a key.
const (
	// KeyPending means published, or about to be, and not signing yet: verifiers
	// are learning it.
	KeyPending KeyState = "Pending"
	// KeyActive means signing. Exactly one key of a ring is.
	KeyActive KeyState = "Active"
	// KeyRetired means published and no longer signing; the private half is
	// destroyed.
	KeyRetired KeyState = "Retired"
	// KeyRevoked means compromised: in no JWKS, denied until the last token it
	// could have signed has expired.
	KeyRevoked KeyState = "Revoked"
)

// KeyStatus is one key of the ring.
type KeyStatus struct {
	// id is the "kid": the RFC 7638 thumbprint.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=43
	ID string `json:"id,omitempty"`

	// algorithm is how the key signs. Unknown, and absent, for a revoked key that
	// was never in the ring.
	// +optional
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// state is Pending (published, not signing yet), Active (signing), Retired
	// (published until its last token has expired) or Revoked (in no JWKS).
	// +required
	State KeyState `json:"state,omitempty"`

	// createdAt is when the key was generated.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`

	// publishedAt is when every copy of the JWKS was first seen to hold the key.
	// +optional
	PublishedAt *metav1.Time `json:"publishedAt,omitempty"`

	// activatedAt is when the key began to sign.
	// +optional
	ActivatedAt *metav1.Time `json:"activatedAt,omitempty"`

	// retiredAt is when the key stopped signing, or was revoked.
	// +optional
	RetiredAt *metav1.Time `json:"retiredAt,omitempty"`

	// removeAfter is when the last token the key could have signed has expired: a
	// Retired key then leaves the JWKS, a Revoked key the deny list.
	// +optional
	RemoveAfter *metav1.Time `json:"removeAfter,omitempty"`
}
