package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenRevocation takes back tokens that a SigningKey of its namespace has
// signed, before they expire: one token, those of a subject, of a client or of a
// key, or all of them. It is published beside the JWKS and applied by the gate,
// by introspection and at admission; servers that look at nothing but the JWKS
// do not learn of it, so that a compromised key belongs in spec.revokedKeyIDs of
// the SigningKey. The annotation keyturn.dev/force-delete: "true" allows it to be
// deleted while tokens that it concerns are alive.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=keyturn,shortName=trev
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.signingKeyName`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.status.expiresAt`,description="When the last token that it concerns has expired"
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TokenRevocation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says which tokens are taken back. It cannot be changed.
	// +required
	Spec TokenRevocationSpec `json:"spec,omitzero"`
	// status says whether the revocation is in force, and until when.
	// Tools that wait take an object without any status for one that is as it
	// shall be, so there is one from the first moment.
	// +optional
	// +default={"observedGeneration": -1}
	Status TokenRevocationStatus `json:"status,omitzero"`
}

// TokenRevocationList is a list of TokenRevocations.
//
// +kubebuilder:object:root=true
type TokenRevocationList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the TokenRevocations.
	Items []TokenRevocation `json:"items"`
}

// The rule on issuedBefore makes it parse as Go does: see ServiceTokenSpec.

// TokenRevocationSpec says which tokens are taken back.
//
// +kubebuilder:validation:XValidation:rule="[has(self.tokenID), has(self.subject), has(self.clientID), has(self.keyID)].filter(b, b).size() <= 1",message="at most one of tokenID, subject, clientID and keyID may be set"
// +kubebuilder:validation:XValidation:rule="has(self.tokenID) || has(self.subject) || has(self.clientID) || has(self.keyID) || has(self.issuedBefore)",message="one of tokenID, subject, clientID, keyID and issuedBefore must be set; issuedBefore alone takes back every token of the issuer"
// +kubebuilder:validation:XValidation:rule="!has(self.tokenID) || !has(self.issuedBefore)",message="issuedBefore has no meaning beside tokenID",fieldPath=".issuedBefore",reason="FieldValueInvalid"
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a TokenRevocation cannot be changed: create another one",reason="FieldValueForbidden"
type TokenRevocationSpec struct {
	// signingKeyName is the SigningKey of this namespace whose tokens are meant: a
	// DNS label of at most 63 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="must be a DNS label, as SigningKey names are"
	SigningKeyName string `json:"signingKeyName,omitempty"`

	// tokenID is the "jti" of one token: at most 255 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	TokenID string `json:"tokenID,omitempty"`

	// subject is the "sub" of tokens issued before issuedBefore: at most 320
	// characters. Their refresh tokens are revoked too.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	Subject string `json:"subject,omitempty"`

	// clientID is the "client_id" of tokens issued before issuedBefore: at most 320
	// characters. Their refresh tokens are revoked too.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	ClientID string `json:"clientID,omitempty"`

	// keyID is the "kid" of tokens issued before issuedBefore. The key goes on
	// signing: name one that is compromised in spec.revokedKeyIDs of the SigningKey
	// instead.
	// +optional
	KeyID KeyID `json:"keyID,omitempty"`

	// issuedBefore is the instant before which the tokens were issued ("iat"). In
	// whole seconds, from 1970 to 9999, written as in 2026-12-31T23:59:59Z (RFC
	// 3339), and not in the future. Defaults to the second after the one in which
	// this object was created. Alone it means every token of the issuer.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == timestamp(int(self)) && self >= timestamp('1970-01-01T00:00:00Z') && self <= timestamp('9999-12-31T23:59:59Z')",message="must be whole seconds from 1970 to 9999, written as in 2026-12-31T23:59:59Z"
	IssuedBefore *metav1.Time `json:"issuedBefore,omitempty"`

	// reason is for people: at most 256 characters. It is not published.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// TokenRevocationStatus is what the operator has observed of a TokenRevocation.
//
// +kubebuilder:validation:MinProperties=1
type TokenRevocationStatus struct {
	// conditions hold Ready: the revocation is published, or no token that it
	// concerns is alive any more (reason Expired).
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

	// issuedBefore is the instant in force; absent for a tokenID.
	// +optional
	IssuedBefore *metav1.Time `json:"issuedBefore,omitempty"`

	// expiresAt is when the last token that it concerns has expired. It is in no
	// deny list any more then, and can be deleted.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}
