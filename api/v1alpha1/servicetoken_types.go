package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ServiceToken is a signed JSON Web Token that is kept valid in a Secret. Pods
// mount the Secret and reread the file.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=keyturn,shortName=stok
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.signingKeyRef.name`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.spec.secretName`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Renewal",type=string,JSONPath=`.status.nextRenewalTime`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServiceToken struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says what the token shall say and where it is kept.
	// +required
	Spec ServiceTokenSpec `json:"spec,omitzero"`
	// status says what the token in the Secret is. It never holds the token.
	// Tools that wait take an object without any status for one that is as it
	// shall be, so there is one from the first moment.
	// +optional
	// +default={"observedGeneration": -1}
	Status ServiceTokenStatus `json:"status,omitzero"`
}

// ServiceTokenList is a list of ServiceTokens.
//
// +kubebuilder:object:root=true
type ServiceTokenList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the ServiceTokens.
	Items []ServiceToken `json:"items"`
}

// Profile is the kind of token.
//
// +kubebuilder:validation:Enum=JWT;AccessToken
type Profile string

// The profiles of a token.
const (
	// ProfileJWT is a plain JWT (RFC 7519), typ "JWT".
	ProfileJWT Profile = "JWT"
	// ProfileAccessToken is an OAuth access token (RFC 9068), typ "at+jwt", with
	// client_id and, where given, scope.
	ProfileAccessToken Profile = "AccessToken"
)

// The API server's own check of date-times lets through what Go cannot parse
// ("2030-01-01t00:00:00z"), and one such object would stop every Go client
// from listing all of them. A CEL rule makes it parse the value as Go does:
// expiresAt must never be without one.

// ServiceTokenSpec says what a token shall say and where it is kept.
//
// +kubebuilder:validation:XValidation:rule="has(self.serviceAccountName) != has(self.subject)",message="exactly one of serviceAccountName and subject must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.renewBefore) || duration(self.renewBefore) < duration(self.duration)",message="renewBefore must be shorter than duration, or the token would be renewed without end",fieldPath=".renewBefore",reason="FieldValueInvalid"
type ServiceTokenSpec struct {
	// signingKeyRef names the SigningKey that signs the token.
	// +required
	SigningKeyRef SigningKeyReference `json:"signingKeyRef,omitzero"`

	// serviceAccountName makes the "sub" claim
	// system:serviceaccount:<namespace>:<name>, as Kubernetes' own tokens have it.
	// The ServiceAccount need not exist. A lower-case RFC 1123 subdomain of at
	// most 253 characters. Exactly one of serviceAccountName and subject is set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a lower-case RFC 1123 subdomain, as ServiceAccount names are"
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// subject is the "sub" claim as free text, at most 255 characters. Outside the
	// key's own namespace only a ServiceAccount of the token's namespace may be
	// the subject, unless the key's rules allow more. Exactly one of
	// serviceAccountName and subject is set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')",message="must not contain control characters"
	Subject string `json:"subject,omitempty"`

	// audiences are the "aud" claim: who the token is for. 1 to 16, each of 1 to
	// 512 characters.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Audiences []Audience `json:"audiences,omitempty"`

	// claims are further claims: a JSON object of at most 4 KiB and 256 members.
	// The registered claims iss, sub, aud, exp, nbf, iat and jti are refused,
	// because Keyturn sets them. Example: {"scope": "orders:read", "tenant":
	// "blue"}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:pruning:PreserveUnknownFields
	Claims *runtime.RawExtension `json:"claims,omitempty"`

	// profile is JWT, or AccessToken for an OAuth access token (RFC 9068): typ
	// at+jwt, and a client_id claim, which is the subject unless the claims say
	// otherwise. Defaults to JWT.
	// +optional
	// +default="JWT"
	Profile Profile `json:"profile,omitempty"`

	// duration is how long a token lives: 1s to 8760h (1 year), in whole hours,
	// minutes and seconds, written as in 90s or 1h30m. Never more than the key's
	// spec.tokens.maxDuration and never less than the operator's minimum (5
	// minutes unless lowered). Defaults to 1h.
	// +optional
	// +default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 1s to 8760h, written as in 90s or 1h30m"
	Duration *metav1.Duration `json:"duration,omitempty"`

	// renewBefore is how long before its expiry a token is replaced: at least 1s,
	// less than duration, in whole hours, minutes and seconds, written as in 90s
	// or 1h30m. Defaults to a third of the token's real life, with a jitter that
	// is always the same for one ServiceToken.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 1s to 8760h, written as in 90s or 1h30m"
	RenewBefore *metav1.Duration `json:"renewBefore,omitempty"`

	// expiresAt is the instant after which nothing is issued any more and the
	// Secret's token is withdrawn. No token outlives it. In whole seconds, from
	// 1970 to 9999, written as in 2030-12-31T23:59:59Z (RFC 3339). Defaults to
	// never.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == timestamp(int(self)) && self >= timestamp('1970-01-01T00:00:00Z') && self <= timestamp('9999-12-31T23:59:59Z')",message="must be whole seconds from 1970 to 9999, written as in 2030-12-31T23:59:59Z"
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// secretName is the Secret of this namespace that holds the token under the
	// key "token". A Secret of that name that does not belong to this ServiceToken
	// is never overwritten. A lower-case RFC 1123 subdomain of at most 253
	// characters. Defaults to the ServiceToken's name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a lower-case RFC 1123 subdomain, as Secret names are"
	SecretName string `json:"secretName,omitempty"`

	// secretTemplate adds labels, annotations and rendered keys to the Secret.
	// +optional
	SecretTemplate *SecretTemplate `json:"secretTemplate,omitempty"`
}

// SigningKeyReference names a SigningKey.
type SigningKeyReference struct {
	// name of the SigningKey: a DNS label of at most 63 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="must be a DNS label, as SigningKey names are"
	Name string `json:"name,omitempty"`

	// namespace of the SigningKey, which must allow the ServiceToken's namespace.
	// Defaults to the ServiceToken's own.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="must be a DNS label, as namespace names are"
	Namespace string `json:"namespace,omitempty"`
}

// Audience is one member of the "aud" claim: a StringOrURI of at most 512
// characters.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')",message="must not contain control characters"
type Audience string

// SecretTemplate adds to the Secret that holds the token.
//
// +kubebuilder:validation:MinProperties=0
type SecretTemplate struct {
	// labels are added to the Secret. Keys under keyturn.dev are reserved. At most
	// 32, with values of at most 63 characters.
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="keys must be qualified names, as label keys are"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keyturn.dev/') && k != 'app.kubernetes.io/managed-by')",message="keys under keyturn.dev/ and app.kubernetes.io/managed-by are reserved"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the Secret. Keys under keyturn.dev are reserved. At
	// most 32, with values of at most 1024 characters.
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k.lowerAscii()).hasValue())",message="keys must be qualified names, as annotation keys are"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keyturn.dev/'))",message="keys under keyturn.dev/ are reserved"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// data are further keys of the Secret, each a Go text template over .Token,
	// .TokenID, .KeyID, .Issuer, .Subject, .Audiences, .IssuedAt and .ExpiresAt
	// (RFC 3339), .Name and .Namespace. Example:
	// "Authorization: Bearer {{ .Token }}". The key "token" is reserved. At most
	// 16 keys, each template at most 8192 characters and each text at most 64 KiB.
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..'))",message="keys must be at most 253 letters, digits, '-', '_' and '.', and not begin with two dots, as Secret keys do"
	// +kubebuilder:validation:XValidation:rule="!('token' in self)",message="the key token is reserved for the token itself"
	Data map[string]TemplateText `json:"data,omitempty"`
}

// TemplateText is a Go text template of at most 8192 characters.
//
// +kubebuilder:validation:MaxLength=8192
type TemplateText string

// ServiceTokenStatus is what the operator has observed of a ServiceToken. It
// never holds the token.
//
// +kubebuilder:validation:MinProperties=1
type ServiceTokenStatus struct {
	// conditions hold Ready: the Secret holds a token that verifies now and says
	// what the spec asks for.
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

	// keyID is the "kid" of the key that signed the token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=43
	KeyID string `json:"keyID,omitempty"`

	// tokenID is the token's "jti".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TokenID string `json:"tokenID,omitempty"`

	// issuedAt is the token's "iat".
	// +optional
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`

	// expiresAt is the token's "exp".
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// nextRenewalTime is when the token will be replaced, or withdrawn where
	// spec.expiresAt ends it.
	// +optional
	NextRenewalTime *metav1.Time `json:"nextRenewalTime,omitempty"`
}
