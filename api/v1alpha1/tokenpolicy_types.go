package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenPolicy says which Bearer tokens (RFC 6750) a protected service accepts.
// The gate answers for it at /verify/<namespace>/<name>, as forward
// authentication for nginx, Traefik and Caddy, and to Envoy by ext_authz: 200 for
// a token that is accepted, 401 for none or a bad one, 403 for one that may not
// do this.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=keyturn,shortName=tpol
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Audiences",type=string,JSONPath=`.spec.audiences`
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.spec.scopes`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="metadata.name must be a DNS label of at most 63 characters, because it becomes part of URLs"
type TokenPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says which tokens are accepted.
	// +required
	Spec TokenPolicySpec `json:"spec,omitzero"`
	// status says whether the keys that verify tokens are at hand.
	// Tools that wait take an object without any status for one that is as it
	// shall be, so there is one from the first moment.
	// +optional
	// +default={"observedGeneration": -1}
	Status TokenPolicyStatus `json:"status,omitzero"`
}

// TokenPolicyList is a list of TokenPolicies.
//
// +kubebuilder:object:root=true
type TokenPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the TokenPolicies.
	Items []TokenPolicy `json:"items"`
}

// DenyListMode says whether revocations are heeded.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type DenyListMode string

// The values of TokenPolicySpec.DenyList.
const (
	// DenyListEnabled refuses tokens that a TokenRevocation takes back.
	DenyListEnabled DenyListMode = "Enabled"
	// DenyListDisabled accepts them until they expire.
	DenyListDisabled DenyListMode = "Disabled"
)

// TokenPolicySpec says which tokens are accepted.
type TokenPolicySpec struct {
	// issuers are those whose tokens are accepted: 1 to 8, no two with the same
	// issuer.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Issuers []PolicyIssuer `json:"issuers,omitempty"`

	// audiences are the names of the protected service: a token must have one of
	// them in "aud". 1 to 16, each of 1 to 512 characters.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Audiences []Audience `json:"audiences,omitempty"`

	// scopes are those that a token must have, all of them, or it is answered with
	// 403 insufficient_scope. At most 64. Defaults to none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// rules must all be true of a request, or it is answered with 403. At most 16.
	// Defaults to none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	Rules []RequestRule `json:"rules,omitempty"`

	// headers tell the protected service what the token says. Each of them is in
	// every answer with 200, empty where the token lacks the claim, so that none
	// that a caller sent gets through. At most 16. Defaults to none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	Headers []ClaimHeader `json:"headers,omitempty"`

	// denyList says whether tokens that a TokenRevocation takes back are refused:
	// Enabled or Disabled. Defaults to Enabled.
	// +optional
	// +default="Enabled"
	DenyList DenyListMode `json:"denyList,omitempty"`

	// clockSkew is how much longer than its life a token is accepted, because clocks
	// differ: 0s to 5m, in whole seconds. Defaults to 0s: the gate has the clock of
	// the operator, which issues the tokens.
	// +optional
	// +default="0s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('0s') && duration(self) <= duration('5m')",message="must be whole minutes and seconds from 0s to 5m, written as in 30s"
	ClockSkew *metav1.Duration `json:"clockSkew,omitempty"`
}

// PolicyIssuer is an issuer whose tokens are accepted.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.signingKeyRef) != has(self.external)",message="exactly one of signingKeyRef and external must be set"
type PolicyIssuer struct {
	// signingKeyRef names a SigningKey of this cluster, of any namespace. Exactly
	// one of signingKeyRef and external is set.
	// +optional
	SigningKeyRef *SigningKeyReference `json:"signingKeyRef,omitzero"`

	// external is an issuer elsewhere. Exactly one of signingKeyRef and external is
	// set.
	// +optional
	External *ExternalIssuer `json:"external,omitzero"`
}

// ExternalIssuer is an issuer of JSON Web Tokens elsewhere.
type ExternalIssuer struct {
	// issuer is the "iss" claim, to the letter: an https URL, below which its
	// configuration document is (OpenID Connect Discovery section 4) unless jwksURL
	// is set. 1 to 512 printable ASCII characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="must be printable ASCII without white space"
	Issuer string `json:"issuer,omitempty"`

	// jwksURL is the https URL of the issuer's JWK Set. Defaults to what its
	// configuration document says. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/?#@]+([/?][^#]*)?$') && isURL(self)",message="must be an https URL without user and fragment"
	JWKSURL string `json:"jwksURL,omitempty"`

	// caBundle holds the certificates, in PEM, of the CAs that are trusted for the
	// issuer instead of the public ones: at most 65536 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// cacheDuration is how long keys are kept before they are fetched again: 1m to
	// 24h, in whole hours, minutes and seconds. The issuer's server can shorten it.
	// Defaults to 1h.
	// +optional
	// +default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="must be whole hours, minutes and seconds from 1m to 24h, written as in 90s or 1h30m"
	CacheDuration *metav1.Duration `json:"cacheDuration,omitempty"`

	// maxStale is how much longer keys are used while the issuer cannot be reached:
	// 0s to 24h, in whole hours, minutes and seconds. Defaults to 1h.
	// +optional
	// +default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be whole hours, minutes and seconds from 0s to 24h, written as in 90s or 1h30m"
	MaxStale *metav1.Duration `json:"maxStale,omitempty"`

	// algorithms are those that are accepted. Defaults to every algorithm that a
	// SigningKey can have.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	Algorithms []Algorithm `json:"algorithms,omitempty"`
}

// RequestRule is one condition that every request must meet.
type RequestRule struct {
	// expression is a CEL expression that must be true before a request is let in.
	// It sees "claims", the token's claims, and "request" (method, host, path, and
	// query): method and host as they were sent, host in lower case and without a
	// port; path without encoding. A request whose path can be read in two ways is
	// refused. Example: request.method == "GET" || "admin" in claims.roles. At
	// most 1024 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`

	// message is shown to whoever is refused. Printable ASCII without double quote
	// and backslash (RFC 6750 section 3), at most 256 characters. Defaults to saying
	// that a rule refuses the request.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ !#-\\\\[\\\\]-~]+$')",message="must be printable ASCII without double quote and backslash (RFC 6750 section 3)"
	Message string `json:"message,omitempty"`
}

// ClaimHeader puts a claim into a header.
type ClaimHeader struct {
	// name of the header, in which letters count the same in either case: letters,
	// digits and hyphens, at most 64. The headers that HTTP and proxies themselves
	// live by are refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$')",message="must be letters, digits and hyphens, neither first nor last a hyphen"
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['authorization', 'proxy-authorization', 'host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length', 'content-type', 'content-encoding', 'cookie', 'set-cookie', 'www-authenticate', 'location', 'forwarded', 'expect', 'date', 'server', 'cache-control', 'retry-after', 'x-real-ip', 'x-http-method-override']) && !self.lowerAscii().startsWith('x-forwarded-') && !self.lowerAscii().startsWith('sec-')",message="must not be a header that HTTP or proxies live by"
	Name string `json:"name,omitempty"`

	// claim is the name of the claim. A text, number or boolean becomes the value as
	// it is, a list of such its members with commas between; anything else, and what
	// no header can hold, is refused. At most 128 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Claim string `json:"claim,omitempty"`
}

// TokenPolicyStatus is what the operator has observed of a TokenPolicy.
//
// +kubebuilder:validation:MinProperties=1
type TokenPolicyStatus struct {
	// conditions hold Ready: the policy can be evaluated, and the keys of every
	// issuer are at hand. The message names the issuers whose keys are not.
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
}
