package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenClient is an OAuth 2.0 client (RFC 6749 section 2): who may ask the token
// endpoint of a SigningKey's issuer for access tokens, how it proves itself, and
// what the tokens say. Its client_id is <namespace>.<name>.
//
// A new value of the annotation keyturn.dev/rotate-requested-at replaces a
// generated client secret; the one before stays valid for a while.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=keyturn,shortName=tcl
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.signingKeyRef.name`
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.status.clientID`
// +kubebuilder:printcolumn:name="Endpoint",type=string,priority=1,JSONPath=`.status.tokenEndpoint`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="metadata.name must be a DNS label of at most 63 characters, because it becomes part of the client_id"
type TokenClient struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says who the client is and what it may ask for.
	// +required
	Spec TokenClientSpec `json:"spec,omitzero"`
	// status says whether the client can ask for tokens, and where. It never holds
	// a secret.
	// Tools that wait take an object without any status for one that is as it
	// shall be, so there is one from the first moment.
	// +optional
	// +default={"observedGeneration": -1}
	Status TokenClientStatus `json:"status,omitzero"`
}

// TokenClientList is a list of TokenClients.
//
// +kubebuilder:object:root=true
type TokenClientList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the TokenClients.
	Items []TokenClient `json:"items"`
}

// GrantType is a way to ask for a token.
//
// +kubebuilder:validation:Enum=ClientCredentials;RefreshToken;TokenExchange
type GrantType string

// The grant types of a TokenClient.
const (
	// GrantClientCredentials asks with nothing but the client's own proof (RFC 6749 section 4.4).
	GrantClientCredentials GrantType = "ClientCredentials"
	// GrantRefreshToken asks with the refresh token that came with an access token (RFC 6749 section 6).
	GrantRefreshToken GrantType = "RefreshToken"
	// GrantTokenExchange asks with another token (RFC 8693).
	GrantTokenExchange GrantType = "TokenExchange"
)

// TokenClientSpec says who a client is and what it may ask for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.refreshToken) || 'RefreshToken' in self.grantTypes",message="refreshToken has a meaning only where grantTypes has RefreshToken",fieldPath=".refreshToken",reason="FieldValueInvalid"
// +kubebuilder:validation:XValidation:rule="self.grantTypes.exists(g, g != 'RefreshToken')",message="RefreshToken renews what another grant began: add ClientCredentials or TokenExchange",fieldPath=".grantTypes",reason="FieldValueInvalid"
type TokenClientSpec struct {
	// signingKeyRef names the SigningKey that signs the tokens. It must allow the
	// TokenClient's namespace, and its rules apply to every token.
	// +required
	SigningKeyRef SigningKeyReference `json:"signingKeyRef,omitzero"`

	// authentication is how the client proves itself: exactly one way.
	// +required
	Authentication ClientAuthentication `json:"authentication,omitzero"`

	// grantTypes are the ways in which the client may ask: ClientCredentials
	// (RFC 6749 section 4.4), TokenExchange (RFC 8693) and RefreshToken (RFC 6749
	// section 6): an answer to either then has a refresh token too, which needs an
	// operator with a token store. Defaults to ClientCredentials.
	// +optional
	// +default=["ClientCredentials"]
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	GrantTypes []GrantType `json:"grantTypes,omitempty"`

	// audiences are those that the client may ask for, by the parameter audience
	// or resource (RFC 8693, RFC 8707). A request without either gets all of them.
	// 1 to 16, each of 1 to 512 characters.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Audiences []Audience `json:"audiences,omitempty"`

	// scopes are those that the client may ask for (RFC 6749 section 3.3). A request
	// without the parameter scope gets all of them. At most 64, each of 1 to 128
	// characters. Defaults to none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// claims are further claims of the access token, each made by a CEL expression.
	// At most 32. Defaults to none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	Claims []ClaimExpression `json:"claims,omitempty"`

	// accessTokenDuration is how long an access token lives: 1s to 8760h (1 year),
	// in whole hours, minutes and seconds, written as in 90s or 1h30m. Never more
	// than the key's spec.tokens.maxDuration and never less than the operator's
	// minimum (5 minutes unless lowered). Nobody can be asked whether an access
	// token is still good, so keep it short. Defaults to 10m.
	// +optional
	// +default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 1s to 8760h, written as in 90s or 1h30m"
	AccessTokenDuration *metav1.Duration `json:"accessTokenDuration,omitempty"`

	// refreshToken says how long refresh tokens live. Only where grantTypes has
	// RefreshToken, which then has the defaults of the fields.
	// +optional
	RefreshToken *RefreshTokenSpec `json:"refreshToken,omitempty"`
}

// ClientAuthentication is how a client proves itself.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[has(self.clientSecret), has(self.privateKeyJWT), has(self.serviceAccounts)].exists_one(b, b)",message="exactly one of clientSecret, privateKeyJWT and serviceAccounts must be set"
type ClientAuthentication struct {
	// clientSecret is a secret shared with the client, sent by client_secret_basic
	// or client_secret_post (RFC 6749 section 2.3.1).
	// +optional
	ClientSecret *ClientSecretAuthentication `json:"clientSecret,omitempty"`

	// privateKeyJWT is a JWT that the client signs with a key of its own and sends
	// as client_assertion (RFC 7523, private_key_jwt).
	// +optional
	PrivateKeyJWT *PrivateKeyJWTAuthentication `json:"privateKeyJWT,omitzero"`

	// serviceAccounts are ServiceAccounts of the TokenClient's namespace. Their
	// projected token, with the issuer as its audience, is sent as client_assertion
	// or as subject_token. The tokens' subject is the ServiceAccount.
	// +optional
	ServiceAccounts *ServiceAccountAuthentication `json:"serviceAccounts,omitzero"`
}

// ClientSecretAuthentication is a secret shared with the client.
//
// +kubebuilder:validation:MinProperties=0
type ClientSecretAuthentication struct {
	// secretName is the Secret of this namespace, of type
	// keyturn.dev/client-secret, with client-id, client-secret and token-endpoint,
	// and after a rotation previous-client-secret. It is made with a random secret
	// if there is none. One that somebody else made is used as it is, if it is
	// of that type and labelled app.kubernetes.io/managed-by: keyturn, and never
	// written. A lower-case RFC 1123 subdomain of at most 253 characters. Defaults to
	// <name>-client.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a lower-case RFC 1123 subdomain, as Secret names are"
	SecretName string `json:"secretName,omitempty"`

	// overlapDuration is how long the secret before stays valid after a rotation:
	// 0s to 8760h, in whole hours, minutes and seconds. Defaults to 24h.
	// +optional
	// +default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 0s to 8760h, written as in 90s or 1h30m"
	OverlapDuration *metav1.Duration `json:"overlapDuration,omitempty"`
}

// PrivateKeyJWTAuthentication is where the public keys of a client are.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.jwks) != has(self.jwksURL)",message="exactly one of jwks and jwksURL must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.caBundle) || has(self.jwksURL)",message="caBundle has a meaning only with jwksURL",fieldPath=".caBundle",reason="FieldValueInvalid"
type PrivateKeyJWTAuthentication struct {
	// jwks is a JWK Set (RFC 7517) with public keys, as JSON: at most 16384
	// characters. Exactly one of jwks and jwksURL is set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	JWKS string `json:"jwks,omitempty"`

	// jwksURL is the https URL of that set, fetched when it is needed and kept for
	// some minutes. Exactly one of jwks and jwksURL is set. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/?#@]+([/?][^#]*)?$') && isURL(self)",message="must be an https URL without user and fragment"
	JWKSURL string `json:"jwksURL,omitempty"`

	// caBundle holds the certificates, in PEM, of the CAs that are trusted for
	// jwksURL instead of the public ones: at most 65536 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`
}

// ServiceAccountAuthentication says which ServiceAccounts are the client.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.names) != has(self.selector)",message="exactly one of names and selector must be set"
type ServiceAccountAuthentication struct {
	// names are ServiceAccounts of this namespace: 1 to 64. Exactly one of names and
	// selector is set.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Names []ServiceAccountName `json:"names,omitempty"`

	// selector chooses ServiceAccounts of this namespace by their labels; an empty
	// selector chooses all. Exactly one of names and selector is set. At most 16
	// matchLabels and 16 matchExpressions.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || size(self.matchLabels) <= 16) && (!has(self.matchExpressions) || size(self.matchExpressions) <= 16 && self.matchExpressions.all(e, !has(e.values) || size(e.values) <= 64))",message="must have at most 16 matchLabels and 16 matchExpressions of at most 64 values each"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, size(self.matchLabels[k]) <= 63 && !format.qualifiedName().validate(k).hasValue())",message="matchLabels must hold label keys, which are qualified names, and label values of at most 63 characters"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="operators must be In or NotIn with values, or Exists or DoesNotExist without"
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// ServiceAccountName is the name of a ServiceAccount.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a lower-case RFC 1123 subdomain, as ServiceAccount names are"
type ServiceAccountName string

// Scope is one scope (RFC 6749 section 3.3): printable ASCII without space,
// double quote and backslash.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[!#-\\\\[\\\\]-~]+$')",message="must be printable ASCII without space, double quote and backslash (RFC 6749 section 3.3)"
type Scope string

// ClaimExpression makes one claim.
type ClaimExpression struct {
	// name of the claim. The registered claims, client_id, scope, act, may_act and
	// cnf are refused, because Keyturn sets them. At most 128 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')",message="must not contain control characters"
	Name string `json:"name,omitempty"`

	// expression is a CEL expression whose value becomes the claim: a text, number,
	// boolean, list or map. It sees "client" (id, namespace, name, labels),
	// "serviceAccount" (namespace, name, labels, and podName and podUID where its
	// token tells them; absent for other clients: guard it with
	// has(serviceAccount.name)) and "request" (grantType as in spec.grantTypes,
	// audiences, scopes, and the claims of a subject_token as subjectClaims). Where
	// an optional value has none (optional.none()), there is no such claim. All
	// claims together have at most 4096 bytes as JSON. Example:
	// client.labels["team"]. At most 1024 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`
}

// RefreshTokenSpec says how long refresh tokens live.
//
// +kubebuilder:validation:MinProperties=0
// +kubebuilder:validation:XValidation:rule="!has(self.idleDuration) || !has(self.absoluteDuration) || duration(self.idleDuration) <= duration(self.absoluteDuration)",message="idleDuration must not be longer than absoluteDuration",fieldPath=".idleDuration",reason="FieldValueInvalid"
type RefreshTokenSpec struct {
	// idleDuration is how long one refresh token can be used, once: 1s to 8760h (1
	// year), in whole hours, minutes and seconds, not longer than absoluteDuration.
	// Defaults to 24h, or to absoluteDuration where that is shorter.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 1s to 8760h, written as in 90s or 1h30m"
	IdleDuration *metav1.Duration `json:"idleDuration,omitempty"`

	// absoluteDuration is how long a client can go on refreshing before it has to
	// ask anew: 1s to 8760h (1 year), in whole hours, minutes and seconds. Defaults
	// to 720h (30 days).
	// +optional
	// +default="720h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be whole hours, minutes and seconds from 1s to 8760h, written as in 90s or 1h30m"
	AbsoluteDuration *metav1.Duration `json:"absoluteDuration,omitempty"`
}

// TokenClientStatus is what the operator has observed of a TokenClient. It never
// holds a secret.
//
// +kubebuilder:validation:MinProperties=1
type TokenClientStatus struct {
	// conditions hold Ready: the client can ask for tokens now.
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

	// clientID is the client_id: <namespace>.<name>.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	ClientID string `json:"clientID,omitempty"`

	// tokenEndpoint is the URL where the client asks for tokens.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	TokenEndpoint string `json:"tokenEndpoint,omitempty"`

	// secretName is the Secret that holds the client secret, where there is one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// previousSecretExpiresAt is when the client secret before the last rotation
	// stops being valid; absent when there is none.
	// +optional
	PreviousSecretExpiresAt *metav1.Time `json:"previousSecretExpiresAt,omitempty"`
}
