package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SigningKey is a key that signs JSON Web Tokens and rotates itself. Its
// private half lives in a Secret of the same namespace; its public half is
// published as a JWK Set (RFC 7517) in a ConfigMap, long enough before it
// signs and long enough after, that every token verifies everywhere for the
// whole of its life.
//
// Annotations: a new value of keyturn.dev/rotate-requested-at (an instant,
// say) asks for a rotation now, in the same orderly steps;
// keyturn.dev/force-delete: "true" allows deletion while live tokens depend on
// the key.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=keyturn,shortName=sk
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Algorithm",type=string,JSONPath=`.spec.algorithm`
// +kubebuilder:printcolumn:name="Active key",type=string,JSONPath=`.status.activeKeyID`
// +kubebuilder:printcolumn:name="Next",type=string,JSONPath=`.status.nextTransitionTime`,description="When the next planned change of the ring is due"
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="metadata.name must be a DNS label of at most 63 characters, because it becomes part of URLs and of label values"
// +kubebuilder:validation:XValidation:rule="has(oldSelf.spec.issuer) ? has(self.spec.issuer) && self.spec.issuer == oldSelf.spec.issuer : !has(self.spec.issuer) || has(oldSelf.status) && has(oldSelf.status.issuer) && self.spec.issuer == oldSelf.status.issuer",message="issuer cannot be changed, added or removed, because verifiers pin it: create another SigningKey. Only the issuer in force, status.issuer, may be written down later",fieldPath=".spec.issuer",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.activeKeyID) || (has(self.spec.secretName) ? self.spec.secretName : self.metadata.name + '-signing-key') == (has(oldSelf.spec.secretName) ? oldSelf.spec.secretName : self.metadata.name + '-signing-key')",message="secretName cannot be changed once a key signs, because the ring would stay behind in the old Secret: create another SigningKey",fieldPath=".spec.secretName",reason="FieldValueForbidden"
type SigningKey struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says what the key is for and how it rotates.
	// +required
	Spec SigningKeySpec `json:"spec,omitzero"`
	// status says which keys are in the ring and when the next change is due. It
	// is derived from the ring Secret.
	// Tools that wait take an object without any status for one that is as it
	// shall be, so there is one from the first moment.
	// +optional
	// +default={"observedGeneration": -1}
	Status SigningKeyStatus `json:"status,omitzero"`
}

// SigningKeyList is a list of SigningKeys.
//
// +kubebuilder:object:root=true
type SigningKeyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the SigningKeys.
	Items []SigningKey `json:"items"`
}

// Algorithm names a signature algorithm of RFC 7518 section 3 or RFC 8037.
// Neither "none" nor a symmetric algorithm is among them: a verifier must
// never be able to sign.
//
// +kubebuilder:validation:Enum=ES256;ES384;ES512;RS256;RS384;RS512;PS256;PS384;PS512;EdDSA
type Algorithm string

// SigningKeySpec says what a SigningKey is for and how it rotates.
//
// +kubebuilder:validation:MinProperties=1
type SigningKeySpec struct {
	// issuer is the "iss" claim of every token this key signs: an https URL, or
	// any StringOrURI (RFC 7519 section 2) when discovery is not used. 1 to 512
	// printable ASCII characters. No two SigningKeys of a cluster share one.
	// Defaults to <external URL>/<namespace>/<name> when the operator runs with an
	// external URL; required otherwise. It cannot be changed, added or removed
	// later, because verifiers pin it; only the issuer in force (status.issuer)
	// may be written down, for instance before the operator's external URL
	// changes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="must be printable ASCII without white space; write an international host name in its xn-- form"
	// +kubebuilder:validation:XValidation:rule="!self.contains(':') || isURL(self)",message="must be a URI, or a string without a colon (RFC 7519 section 2, StringOrURI)"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('https:') || self.matches('^https://[^/?#@]+(/[^?#]*)?$')",message="an https issuer must be https://host/path in a lower-case scheme, without user, query or fragment (OpenID Connect Discovery section 3)"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('http:')",message="must not be a plain http URL: use https, or a name that is not a URL"
	Issuer string `json:"issuer,omitempty"`

	// algorithm is how the key signs: ES256, ES384, ES512, RS256, RS384, RS512,
	// PS256, PS384, PS512 (RFC 7518 section 3) or EdDSA with Ed25519 (RFC 8037).
	// RSA keys have 2048, 3072 or 4096 bits. A change rotates in an orderly way:
	// both keys are published while tokens of either are alive. Defaults to ES256.
	// +optional
	// +default="ES256"
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// rotation says how often the key changes and how much time the new key needs
	// to become known. The lead, the time a key is published before it signs, is
	// verifierCacheDuration + propagationDelay + clockSkew: 1h3m by default. All
	// durations are whole hours, minutes and seconds, written as in 90s or 1h30m.
	// +optional
	// +default={}
	Rotation RotationSpec `json:"rotation,omitzero"`

	// tokens says which tokens this key signs, and for whom.
	// +optional
	// +default={}
	Tokens TokensSpec `json:"tokens,omitzero"`

	// jwks says where the public half is published: in a ConfigMap of this
	// namespace and, where asked for, in copies of it.
	// +optional
	// +default={}
	JWKS JWKSSpec `json:"jwks,omitzero"`

	// secretName is the Secret of this namespace that holds the private keys under
	// ring.json and, for applications that sign for themselves, the Active key
	// under signing-key.pem, signing-key.jwk and key-id. A Secret of that name
	// that does not belong to this SigningKey is never overwritten. Cannot be
	// changed once a key signs. A lower-case RFC 1123 subdomain of at most 253
	// characters. Defaults to <name>-signing-key.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a lower-case RFC 1123 subdomain, as Secret names are"
	SecretName string `json:"secretName,omitempty"`

	// revokedKeyIDs are the key IDs ("kid") that are compromised; status.keys
	// lists the IDs there are. Such a key leaves the ring and every JWKS at once,
	// another key signs, and every token it signed is re-issued. At most 64, each
	// of 43 characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	RevokedKeyIDs []KeyID `json:"revokedKeyIDs,omitempty"`
}

// KeyID is the "kid" of a key: its RFC 7638 SHA-256 thumbprint, base64url
// without padding, 43 characters.
//
// +kubebuilder:validation:MinLength=43
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]{43}$`
type KeyID string

// The rule on period lets an empty object pass: the API server judges the
// default {} of spec.rotation as it stands, before it fills in the defaults of
// the fields. In a real object period is never absent.

// RotationSpec says how often a key changes and how much time a new key needs
// to become known. The lead, the time a key is published before it signs, is
// verifierCacheDuration + propagationDelay + clockSkew: 1h3m by default.
//
// +kubebuilder:validation:XValidation:rule="!has(self.period) || duration(self.period) > duration(self.verifierCacheDuration) + duration(self.propagationDelay) + duration(self.clockSkew)",message="period must be longer than verifierCacheDuration + propagationDelay + clockSkew: a key is published that long before it signs",fieldPath=".period",reason="FieldValueInvalid"
type RotationSpec struct {
	// period is how long one key signs: 1s to 87600h (10 years), in whole seconds,
	// longer than the lead, and never shorter than the operator's minimum (5
	// minutes unless lowered). Defaults to 720h (30 days).
	// +optional
	// +default="720h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('87600h')",message="must be whole hours, minutes and seconds from 1s to 87600h, written as in 90s or 1h30m"
	Period *metav1.Duration `json:"period,omitempty"`

	// verifierCacheDuration is how long the slowest verifier may keep a JWKS it
	// has fetched: 0s to 720h (30 days), in whole seconds. Defaults to 1h, which
	// kube-apiserver, Istio and most libraries keep to; .NET keeps one for 12h,
	// some clients for 24h.
	// +optional
	// +default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="must be whole hours, minutes and seconds from 0s to 720h, written as in 90s or 1h30m"
	VerifierCacheDuration *metav1.Duration `json:"verifierCacheDuration,omitempty"`

	// propagationDelay is how long mounted ConfigMaps and Secrets take to reach a
	// pod: 0s to 1h, in whole seconds. Defaults to 2m, the kubelet's worst case
	// with its default settings: a sync every minute from a cache a minute old.
	// +optional
	// +default="2m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="must be whole hours, minutes and seconds from 0s to 1h, written as in 90s or 1h30m"
	PropagationDelay *metav1.Duration `json:"propagationDelay,omitempty"`

	// clockSkew is how far apart the clocks of the operator and of any verifier
	// may be: 0s to 1h, in whole seconds. Defaults to 1m.
	// +optional
	// +default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="must be whole hours, minutes and seconds from 0s to 1h, written as in 90s or 1h30m"
	ClockSkew *metav1.Duration `json:"clockSkew,omitempty"`
}

// TokensSpec says which tokens a SigningKey signs, and for whom.
type TokensSpec struct {
	// maxDuration is the longest life of any token this key signs: 1s to 8760h (1
	// year), in whole hours, minutes and seconds, written as in 90s or 1h30m, and
	// never shorter than the operator's minimum (5 minutes unless lowered).
	// Retired keys stay published that long. Defaults to 24h.
	// +optional
	// +default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 1s to 8760h, written as in 90s or 1h30m"
	MaxDuration *metav1.Duration `json:"maxDuration,omitempty"`

	// allowedNamespaces says which namespaces' ServiceTokens this key signs.
	// Defaults to the key's own namespace.
	// +optional
	// +default={"from":"Same"}
	AllowedNamespaces AllowedNamespaces `json:"allowedNamespaces,omitzero"`

	// rules must all be true of a token before it is signed. A rule that reads
	// claims.sub also decides who may be the subject; without one, a namespace
	// other than the key's speaks for its own ServiceAccounts alone. At most 16.
	// Defaults to none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	Rules []TokenRule `json:"rules,omitempty"`
}

// NamespaceScope says which namespaces are meant.
//
// +kubebuilder:validation:Enum=Same;All;Selector
type NamespaceScope string

// The namespaces that AllowedNamespaces can mean.
const (
	// NamespacesFromSame means the SigningKey's own namespace.
	NamespacesFromSame NamespaceScope = "Same"
	// NamespacesFromAll means every namespace.
	NamespacesFromAll NamespaceScope = "All"
	// NamespacesFromSelector means the namespaces whose labels match the selector,
	// and the SigningKey's own.
	NamespacesFromSelector NamespaceScope = "Selector"
)

// AllowedNamespaces says whose ServiceTokens may use a key, in the way of the
// Gateway API's allowedRoutes.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(self.from == 'Selector') == has(self.selector)",message="selector must be set when from is Selector, and only then",fieldPath=".selector",reason="FieldValueInvalid"
type AllowedNamespaces struct {
	// from is Same (the key's own namespace), All, or Selector (namespaces whose
	// labels match, and the key's own). Defaults to Same.
	// +optional
	// +default="Same"
	From NamespaceScope `json:"from,omitempty"`

	// selector chooses namespaces by their labels; an empty selector chooses all.
	// Required when from is Selector, refused otherwise. At most 16 matchLabels
	// and 16 matchExpressions.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || size(self.matchLabels) <= 16) && (!has(self.matchExpressions) || size(self.matchExpressions) <= 16 && self.matchExpressions.all(e, !has(e.values) || size(e.values) <= 64))",message="must have at most 16 matchLabels and 16 matchExpressions of at most 64 values each"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, size(self.matchLabels[k]) <= 63 && !format.qualifiedName().validate(k).hasValue())",message="matchLabels must hold label keys, which are qualified names, and label values of at most 63 characters"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="operators must be In or NotIn with values, or Exists or DoesNotExist without"
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// TokenRule is one condition that every token must meet.
type TokenRule struct {
	// expression is a CEL expression that must be true before a token is signed.
	// It sees "claims", the token's claims as they will be signed (exp, iat and
	// nbf as seconds since 1970), and "namespace" (name, labels) of the
	// ServiceToken. Example: claims.aud.all(a, a.startsWith("https://")) &&
	// namespace.labels["tier"] == "prod". At most 1024 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`

	// message is shown to whoever asks for a token that the expression refuses. At
	// most 256 characters. Defaults to the expression.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// JWKSSpec says where the public half of a SigningKey is published.
type JWKSSpec struct {
	// name of the ConfigMap, the same in every namespace. It holds the JWK Set
	// under jwks.json and the issuer under issuer. A ConfigMap of that name that
	// does not belong to this SigningKey is never touched. A lower-case RFC 1123
	// subdomain of at most 253 characters. Defaults to <SigningKey name>-jwks.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a lower-case RFC 1123 subdomain, as ConfigMap names are"
	Name string `json:"name,omitempty"`

	// labels are added to the ConfigMap and its copies. Keys under keyturn.dev are
	// reserved. At most 32, with values of at most 63 characters.
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="keys must be qualified names, as label keys are"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keyturn.dev/') && k != 'app.kubernetes.io/managed-by')",message="keys under keyturn.dev/ and app.kubernetes.io/managed-by are reserved"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the ConfigMap and its copies. Keys under
	// keyturn.dev are reserved. At most 32, with values of at most 1024
	// characters.
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k.lowerAscii()).hasValue())",message="keys must be qualified names, as annotation keys are"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keyturn.dev/'))",message="keys under keyturn.dev/ are reserved"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// namespaces chooses further namespaces, by their labels, that receive a copy
	// of the ConfigMap. An empty selector chooses all. Copies are added and
	// removed as labels change. At most 16 matchLabels and 16 matchExpressions.
	// Defaults to none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || size(self.matchLabels) <= 16) && (!has(self.matchExpressions) || size(self.matchExpressions) <= 16 && self.matchExpressions.all(e, !has(e.values) || size(e.values) <= 64))",message="must have at most 16 matchLabels and 16 matchExpressions of at most 64 values each"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, size(self.matchLabels[k]) <= 63 && !format.qualifiedName().validate(k).hasValue())",message="matchLabels must hold label keys, which are qualified names, and label values of at most 63 characters"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="operators must be In or NotIn with values, or Exists or DoesNotExist without"
	Namespaces *metav1.LabelSelector `json:"namespaces,omitempty"`
}

// LabelValue is the value of a label: at most 63 characters.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// AnnotationValue is the value of an annotation: at most 1024 characters.
//
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string
